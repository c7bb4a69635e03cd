"""Labels and makers' marks in the files themselves, read by others than those that wrote them: PyAV's demuxer, Pillow, the
reader of C2PA, and the pixels of decoded frames."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pytest_asyncio
from c2pa import Builder, C2paSignerInfo, Reader, Signer
from PIL import Image

from app.errors import LabelsFailed, ResultUndecodable, SettingsInvalid
from app.keys.key import OPTION_VALUES
from app.media.labels.marking import label_clip
from app.media.labels.options import KEY_LAYERS, LabelOptions
from app.media.labels.pictures import find_marks, label_picture
from app.media.labels.sealing import FilmSealer, UnsealedFilm
from app.media.labels.signing import load_identity, write_development_pair
from app.media.playable import write_compatible, write_stream
from app.media.trimming import trim_clip
from app.media.vendor_marks import C2PA_BOX, maker_boxes
from app.options import read_document
from tests.media.clips import make_clip, make_picture

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
OURS = {"service": "测试服务", "number": "0190f3a2", "integrity": "sha256:00"}
THEIRS = {
    "Label": "1",
    "ContentProducer": "vendor-42",
    "ProduceID": "v-1",
    "ReservedCode1": "x",
    "More": "kept",
}


def metadata(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        found = dict(container.metadata)
        for stream in container.streams:
            found |= stream.metadata
        return found


def label(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(metadata(path)["AIGC"])
    return found


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def marked_clip(folder: Path, *, codec: str = "libx264", label: str = json.dumps(THEIRS)) -> Path:
    """As a vendor makes one: with the label and a field of its own."""
    plain = make_clip(folder / f"plain-{codec}.mp4", seconds=4.0, codec=codec, audio_seconds=4.0, gop=12)
    path = folder / f"vendor-{codec}.mp4"
    with (
        av.open(str(plain)) as source,
        av.open(str(path), "w", format="mp4", options={"movflags": "+use_metadata_tags"}) as out,
    ):
        out.metadata["AIGC"] = label
        out.metadata["vendor_trace"] = "abc"
        copies = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write_development_pair(tmp_path)


@pytest_asyncio.fixture
async def sealer(pair: tuple[Path, Path]) -> AsyncIterator[FilmSealer]:
    identity = load_identity(*pair)
    assert identity is not None
    made = FilmSealer(identity)
    yield made
    await made.close()


def sign_as_vendor(source: Path, target: Path, folder: Path) -> Path:
    """With a chain of the vendor's own."""
    folder.mkdir()
    certificate, key = (path.read_bytes() for path in write_development_pair(folder))
    actions = [{"action": "c2pa.created", "digitalSourceType": AI}]
    document = {
        "claim_generator_info": [{"name": "Vendor"}],
        "format": "video/mp4",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }
    with source.open("rb") as file, target.open("w+b") as out:
        signer = Signer.from_info(C2paSignerInfo("es256", certificate, key, None))
        Builder.from_json(json.dumps(document)).sign(signer, "video/mp4", file, out)
    return target


def manifests(path: Path, form: str = "video/mp4") -> tuple[str, dict[str, Any]]:
    with path.open("rb") as file:
        reader = Reader(form, file)
        return reader.get_validation_state(), json.loads(reader.json())


# ---- the implicit label ----


@pytest.mark.parametrize(
    ("ending", "codec"), [("mp4", "libx264"), ("mov", "libx264"), ("webm", "libvpx"), ("mkv", "libx264")]
)
def test_the_implicit_label_is_in_the_metadata_and_nothing_is_decoded(
    tmp_path: Path, ending: str, codec: str
) -> None:
    source, target = make_clip(tmp_path / f"clip.{ending}", codec=codec), tmp_path / "labelled"
    info = label_clip(source, target, **OURS, text="", seconds=3.0, signed=False)
    assert label(target) == {
        "Label": "1",
        "ContentProducer": "测试服务",
        "ProduceID": "0190f3a2",
        "ReservedCode1": "sha256:00",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    assert packets(target) == packets(source)
    assert info.marks == () and info.seconds == pytest.approx(2.0, abs=0.1)
    assert find_marks(target).marks == ("aigc",)


def test_a_vendors_label_keeps_its_words_and_we_pass_it_on(tmp_path: Path) -> None:
    source, target = marked_clip(tmp_path), tmp_path / "labelled"
    info = label_clip(source, target, **OURS, text="", seconds=3.0, signed=False)
    ours = {"ContentPropagator": "测试服务", "PropagateID": "0190f3a2", "ReservedCode2": "sha256:00"}
    assert label(target) == THEIRS | ours
    assert info.marks == ("aigc",)
    again = tmp_path / "again"
    label_clip(target, again, service="next", number="2", integrity="", text="", seconds=3.0, signed=False)
    assert label(again) == THEIRS | ours  # somebody passes it on already


def test_a_label_that_can_not_be_read_is_left_alone(tmp_path: Path) -> None:
    source, target = marked_clip(tmp_path, label="not JSON"), tmp_path / "labelled"
    label_clip(source, target, **OURS, text="", seconds=3.0, signed=False)
    assert metadata(target)["AIGC"] == "not JSON"


# ---- what makers wrote stays in our own copies ----


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_vendors_marks_stay_through_trims_and_playable_forms(tmp_path: Path, codec: str) -> None:
    """Without decoding for H.264; H.265 is written again for every player."""
    made = marked_clip(tmp_path, codec=codec)
    vendor = sign_as_vendor(made, tmp_path / "signed.mp4", tmp_path / "vendor")
    [box] = maker_boxes(vendor)
    assert box[8:24] == C2PA_BOX and manifests(vendor)[0] == "Valid"
    trimmed = tmp_path / "trimmed"
    trim_clip(vendor, trimmed, seconds=2.0)
    write_compatible(vendor, tmp_path)
    write_stream(vendor, tmp_path)
    for copy in (trimmed, tmp_path / "compatible.mp4", tmp_path / "stream.m4s"):
        assert label(copy) == THEIRS, copy
        assert metadata(copy)["vendor_trace"] == "abc", copy
        assert maker_boxes(copy) == [box], copy
    state, found = manifests(trimmed)
    assert state == "Invalid"  # it says who made it, and that it was changed since
    assert found["manifests"][found["active_manifest"]]["claim_generator_info"][0]["name"] == "Vendor"
    played = [bytes(each) for each in packets(tmp_path / "stream.m3u8")]
    assert len(played) == len(packets(tmp_path / "compatible.mp4"))


# ---- the visible label ----


def frames_at(path: Path, *moments: float) -> list[np.ndarray[Any, Any]]:
    with av.open(str(path)) as container:
        shown = [(frame.time or 0.0, frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    return [min(shown, key=lambda each: abs(each[0] - moment))[1] for moment in moments]


@pytest.mark.parametrize(
    ("size", "text"), [((640, 360), "AI生成"), ((360, 640), "人工智能生成"), ((202, 202), "AI GENERATED")]
)
def test_the_visible_label_is_high_enough_and_shown_long_enough(
    tmp_path: Path, size: tuple[int, int], text: str
) -> None:
    source, target = tmp_path / "grey.mp4", tmp_path / "labelled"
    with av.open(str(source), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(48):
            picture = np.full((size[1], size[0], 3), 120, dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    info = label_clip(source, target, **OURS, text=text, seconds=2.0, signed=False)
    assert (info.width, info.height) == size
    first, late, after, last = frames_at(target, 0.0, 1.85, 2.2, 3.9)
    for frame in (first, late):
        letters = np.argwhere(frame > 200)
        rows, columns = letters[:, 0], letters[:, 1]
        assert rows.max() - rows.min() + 1 >= 0.05 * min(size)
        assert columns.max() - columns.min() + 1 >= 0.05 * min(size) * len(text) * 0.5
        assert rows.max() < size[1] / 3
        assert (frame < 80).any()  # the plate behind them
    for frame in (after, last):
        assert (frame > 200).sum() == 0 and (frame < 80).sum() == 0
    assert label(target)["ContentProducer"] == "测试服务"


def test_a_film_with_a_visible_label_keeps_its_sound_and_size(tmp_path: Path) -> None:
    source, target = (
        make_clip(tmp_path / "clip.mp4", size=(2048, 64), audio_seconds=2.0),
        tmp_path / "labelled",
    )
    info = label_clip(source, target, **OURS, text="AI生成", seconds=2.0, signed=False)
    assert (info.width, info.height, info.has_audio, info.codec) == (2048, 64, True, "h264")
    assert info.seconds == pytest.approx(2.0, abs=0.1)


# ---- signatures ----


async def test_a_signed_film_is_valid_and_says_how_it_was_made(tmp_path: Path, sealer: FilmSealer) -> None:
    source, labelled, target = make_clip(tmp_path / "clip.mp4"), tmp_path / "labelled", tmp_path / "sealed"
    label_clip(source, labelled, **OURS, text="", seconds=3.0, signed=True)
    await sealer.seal_film(UnsealedFilm(labelled, "video/mp4", source, "video/mp4", ("c2pa.edited",)), target)
    state, found = manifests(target)
    assert state == "Valid"
    manifest = found["manifests"][found["active_manifest"]]
    assert manifest["claim_generator_info"][0]["name"] == "Filmgate"
    [actions] = [
        each["data"]["actions"] for each in manifest["assertions"] if each["label"].startswith("c2pa.actions")
    ]
    assert [each["action"] for each in actions] == ["c2pa.created", "c2pa.edited"]
    assert actions[0]["digitalSourceType"] == AI
    assert label(target)["ProduceID"] == "0190f3a2"
    assert packets(target) == packets(source)
    content = bytearray(target.read_bytes())
    content[-200] ^= 1
    (tmp_path / "changed.mp4").write_bytes(content)
    assert manifests(tmp_path / "changed.mp4")[0] == "Invalid"


async def test_a_vendors_manifest_becomes_a_part_of_ours(tmp_path: Path, sealer: FilmSealer) -> None:
    vendor = sign_as_vendor(marked_clip(tmp_path), tmp_path / "signed.mp4", tmp_path / "vendor")
    trimmed, labelled, target = (tmp_path / name for name in ("trimmed", "labelled", "sealed"))
    trim_clip(vendor, trimmed, seconds=2.0)
    info = label_clip(trimmed, labelled, **OURS, text="AI生成", seconds=2.0, signed=True)
    assert info.marks == ("aigc", "c2pa")
    await sealer.seal_film(
        UnsealedFilm(labelled, "video/mp4", vendor, "video/mp4", ("c2pa.trimmed", "c2pa.edited")), target
    )
    state, found = manifests(target)
    assert state == "Valid"
    ours = found["manifests"][found["active_manifest"]]
    [part] = ours["ingredients"]
    assert found["manifests"][part["active_manifest"]]["claim_generator_info"][0]["name"] == "Vendor"
    assert part["relationship"] == "parentOf"
    assert len(maker_boxes(target)) == 1
    assert label(target)["ContentProducer"] == "vendor-42"


async def test_what_can_not_be_signed_is_an_error(
    tmp_path: Path, sealer: FilmSealer, pair: tuple[Path, Path]
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film at all")
    with pytest.raises(LabelsFailed, match="could not be signed"):
        await sealer.seal_film(UnsealedFilm(broken, "video/mp4", broken, "video/mp4"), tmp_path / "out")
    clip = make_clip(tmp_path / "clip.mp4")
    pair[1].unlink()
    with pytest.raises(LabelsFailed, match="could not be signed"):
        await sealer.seal_film(UnsealedFilm(clip, "video/mp4", clip, "video/mp4"), tmp_path / "out")


# ---- the certificate ----


def test_a_pair_that_does_not_fit_is_told_with_its_setting(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    other = tmp_path / "other"
    other.mkdir()
    foreign_certificate, foreign_key = write_development_pair(other)
    bare = tmp_path / "bare.pem"
    bare.write_text("no certificate")
    leaf, root = certificate.read_text().split("-----END CERTIFICATE-----\n", 1)
    leaf += "-----END CERTIFICATE-----\n"
    upside_down, strangers = tmp_path / "upside.pem", tmp_path / "strangers.pem"
    upside_down.write_text(root + leaf)
    strangers.write_text(leaf + foreign_certificate.read_text().split("-----END CERTIFICATE-----\n", 1)[1])
    assert load_identity(None, None) is None
    found = load_identity(certificate, key)
    assert found is not None and found.is_development and found.algorithm == "es256"
    assert key.stat().st_mode & 0o077 == 0
    for wrong, told in (
        ((certificate, None), "FILMGATE_C2PA_KEY: is needed with FILMGATE_C2PA_CERTIFICATE"),
        ((None, key), "FILMGATE_C2PA_CERTIFICATE: is needed with FILMGATE_C2PA_KEY"),
        ((tmp_path / "gone", key), "FILMGATE_C2PA_CERTIFICATE: .*gone can't be read"),
        ((certificate, tmp_path / "gone"), "FILMGATE_C2PA_KEY: .*gone can't be read"),
        ((bare, key), "holds no certificates in PEM"),
        ((certificate, bare), "holds no private key in PEM"),
        ((certificate, foreign_key), "is not the key of the first certificate"),
        ((upside_down, key), "is not the key of the first certificate"),
        ((strangers, key), "is not issued by the certificate that follows it"),
    ):
        with pytest.raises(SettingsInvalid, match=told):
            load_identity(*wrong)


# ---- pictures ----


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_has_the_label_in_its_xmp(tmp_path: Path, form: str) -> None:
    source, target, again = (tmp_path / name for name in ("picture", "labelled", "again"))
    source.write_bytes(make_picture(form))
    info = label_picture(source, target, **(OURS | {"service": 'A & "B" <C>'}))
    assert (info.width, info.height, info.marks) == (64, 48, ())
    with Image.open(target) as picture, Image.open(source) as plain:
        assert picture.tobytes() == plain.tobytes()
        packet = picture.info["xmp"]
    text = (packet if isinstance(packet, str) else packet.decode()).replace("&lt;", "<").replace("&gt;", ">")
    inside = text.split("<TC260:AIGC>")[1].split("</TC260:AIGC>")[0].replace("&amp;", "&")
    assert json.loads(inside)["ContentProducer"] == 'A & "B" <C>'
    assert label_picture(target, again, **OURS).marks == ("aigc",)
    assert find_marks(again).marks == ("aigc",)
    with Image.open(again) as picture:
        picture.load()
        packet = picture.info["xmp"]
    text = packet if isinstance(packet, str) else packet.decode()
    assert text.count("<TC260:AIGC>") == 1 and "测试服务" in text and "&lt;C&gt;" in text


def test_other_pictures_take_no_label(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(make_picture("GIF"))
    with pytest.raises(ResultUndecodable, match="PNG and JPEG"):
        label_picture(tmp_path / "picture", tmp_path / "labelled", **OURS)


# ---- the rules ----


def test_a_key_asks_for_more_and_never_for_less() -> None:
    assert OPTION_VALUES["labels"] == tuple(KEY_LAYERS)
    off, on = LabelOptions(), LabelOptions(enabled=True, visible=True)
    assert off.layers_for(None) == ()
    assert off.layers_for("visible") == ("implicit", "visible")
    assert on.layers_for(None) == on.layers_for("implicit") == ("implicit", "visible")
    assert on.layers_for("c2pa") == ("implicit", "visible", "c2pa")
    with pytest.raises(Exception, match="at least one"):
        read_document(LabelOptions, {"enabled": True, "implicit": False})
    with pytest.raises(Exception, match="producer"):
        read_document(LabelOptions, {"producer": "  "})
    with pytest.raises(Exception, match="seconds"):
        read_document(LabelOptions, {"seconds": 1})
