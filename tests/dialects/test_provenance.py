"""`provenance` of a video, and the check that recognizes it by its bytes or by their hash."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.components import Components
from app.media.labels.options import LabelOptions
from app.media.labels.signing import write_development_pair
from tests.dialects.contract import SMALL
from tests.serving import GatewayProcess, until

CHECKS = "/v1/content_provenance_checks"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, str]]:
    """A gateway that labels and signs, and the key of another owner."""
    folder = tmp_path_factory.mktemp("provenance")
    certificate, key = write_development_pair(folder)
    gateway = GatewayProcess(
        folder / "data",
        FILMGATE_STUDIO="on",
        FILMGATE_C2PA_CERTIFICATE=str(certificate),
        FILMGATE_C2PA_KEY=str(key),
    )

    async def prepared(components: Components) -> str:
        await components.options.write(LabelOptions, {"enabled": True, "c2pa": True})
        return await components.keys.create("other")

    other = gateway.prepare(prepared)
    with gateway:
        yield gateway, other


def made_film(client: httpx2.Client) -> tuple[str, bytes]:
    body = {"model": "studio", "prompt": "[studio:fast] a boat", **SMALL}
    video = client.post("/v1/videos", json=body).json()["id"]
    until(lambda: client.get(f"/v1/videos/{video}").json()["status"] == "completed")
    return video, client.get(f"/v1/videos/{video}/content").content


def test_a_film_is_recognized_by_its_bytes_and_by_their_hash(labelled: tuple[GatewayProcess, str]) -> None:
    gateway, other = labelled
    with gateway.client() as client, gateway.client(key=other) as stranger:
        video, film = made_film(client)
        sha256 = hashlib.sha256(film).hexdigest()
        layers = ["implicit", "c2pa"]
        told = client.get(f"/v1/videos/{video}").json()["provenance"]
        assert told == {"ai_generated": True, "labels": layers, "sha256": sha256, "vendor_marks": []}
        known = client.post(CHECKS, files={"file": ("film.mp4", film, "video/mp4")}).json()
        assert known.pop("created_at") > 0
        assert known == {
            "object": "content_provenance_check",
            "sha256": sha256,
            "made_here": True,
            "marks": ["aigc", "c2pa"],
            "ai_generated": True,
            "labels": layers,
            "model": "studio",
            "video_id": video,
        }
        by_hash = stranger.post(CHECKS, json={"sha256": sha256.upper()}).json()
        assert by_hash["made_here"] and by_hash["marks"] is None
        assert "video_id" not in by_hash
        assert client.delete(f"/v1/videos/{video}").status_code == 200
        assert client.post(CHECKS, json={"sha256": sha256}).json()["made_here"]
        changed = client.post(CHECKS, files={"file": ("film.mp4", film + b"\0", "video/mp4")}).json()
        assert (changed["made_here"], changed["marks"]) == (False, ["aigc", "c2pa"])
        assert "labels" not in changed
        text = client.post(CHECKS, files={"file": ("film.mp4", b"no film", "video/mp4")}).json()
        assert (text["made_here"], text["marks"]) == (False, [])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "file"),
        ({"sha256": "abc"}, "sha256"),
        ({"sha256": 7}, "sha256"),
        ({"file": "https://example.com/film.mp4"}, "file"),
    ],
)
def test_a_check_of_nothing_names_the_field(
    labelled: tuple[GatewayProcess, str], body: dict[str, object], param: str
) -> None:
    with labelled[0].client() as client:
        answer = client.post(CHECKS, json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_both_are_not_taken(labelled: tuple[GatewayProcess, str]) -> None:
    with labelled[0].client() as client:
        answer = client.post(CHECKS, files={"file": ("f", b"x")}, data={"sha256": "0" * 64})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "sha256")


def test_a_pair_that_does_not_fit_stops_the_start(tmp_path: Path) -> None:
    certificate, _ = write_development_pair(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, foreign = write_development_pair(other)
    gateway = GatewayProcess(
        tmp_path / "data", FILMGATE_C2PA_CERTIFICATE=str(certificate), FILMGATE_C2PA_KEY=str(foreign)
    )
    with pytest.raises(RuntimeError, match=r"FILMGATE_C2PA_KEY: .* is not the key of the first certificate"):
        gateway.start()
