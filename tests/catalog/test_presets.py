"""The presets, each with what its manual states."""

import pytest

from app.catalog.presets import PRESETS, STYLES, preset_for
from app.errors import InvalidRequest

PORTRAIT, LANDSCAPE = "704x1280", "1280x704"

SORA_VIDEO2 = [
    # name, size, seconds, hd, pro; chat-video manual §1 and platform manual, Chat
    ("sora_video2", PORTRAIT, 10, False, False),
    ("sora_video2-landscape", LANDSCAPE, 10, False, False),
    ("sora_video2-15s", PORTRAIT, 15, False, False),
    ("sora_video2-landscape-15s", LANDSCAPE, 15, False, False),
    ("sora_video2-portrait", PORTRAIT, 10, False, False),
    ("sora_video2-portrait-hd", PORTRAIT, 10, True, True),
    ("sora_video2-portrait-15s", PORTRAIT, 15, False, False),
    ("sora_video2-portrait-hd-15s", PORTRAIT, 15, True, True),
    # client-api §10; at 25 s hd has no effect (platform manual, duration)
    ("sora_video2-hd", PORTRAIT, 10, True, True),
    ("sora_video2-25s", PORTRAIT, 25, False, True),
    ("sora_video2-landscape-hd-15s", LANDSCAPE, 15, True, True),
    ("sora_video2-landscape-hd-25s", LANDSCAPE, 25, False, True),
]

# feature manual, 支持的模型
SORA2 = {
    "sora2-landscape": (10, 15, 25),
    "sora2-portrait": (10, 15, 25),
    "sora2pro-landscape": (10, 15, 25),
    "sora2pro-portrait": (10, 15, 25),
    "sora2pro-hd-landscape": (10, 15),
    "sora2pro-hd-portrait": (10, 15),
}

# platform manual, veo
VEO = [
    "veo3",
    "veo3-fast",
    "veo3-pro",
    "veo3-pro-frames",
    "veo2",
    "veo2-fast",
    "veo2-fast-frames",
    "veo2-fast-components",
    "veo2-pro",
    "veo3-fast-frames",
    "veo3.1",
    "veo3.1-pro",
]


@pytest.mark.parametrize(("name", "size", "seconds", "hd", "pro"), SORA_VIDEO2)
def test_sora_video2(name: str, size: str, seconds: int, hd: bool, pro: bool) -> None:
    preset = PRESETS[name]
    assert (preset.size, preset.seconds, preset.hd, "pro" in preset.needs) == (size, seconds, hd, pro)
    assert (preset.kind, preset.reply, preset.base) == ("video", "link", "sora-2-pro" if pro else "sora-2")


def test_all_combinations_of_sora_video2() -> None:
    assert len([name for name in PRESETS if name.startswith("sora_video2")]) == 18


@pytest.mark.parametrize(("stem", "seconds"), [(stem, n) for stem, all_ in SORA2.items() for n in all_])
def test_sora2(stem: str, seconds: int) -> None:
    preset = PRESETS[f"{stem}-{seconds}s"]
    assert preset.seconds == seconds
    assert preset.size == ("1280x720" if "landscape" in stem else "720x1280")
    assert preset.hd == ("hd" in stem)
    assert ("pro" in preset.needs) == ("pro" in stem)
    assert preset.reply == "html"


@pytest.mark.parametrize(
    ("name", "size"),
    [("gpt-image", "360x360"), ("gpt-image-landscape", "540x360"), ("gpt-image-portrait", "360x540")],
)
def test_images_of_the_feature_manual(name: str, size: str) -> None:
    preset = PRESETS[name]
    assert (preset.kind, preset.reply, preset.size, preset.base) == ("image", "image", size, "gpt-image")


def test_sora_1_of_the_return_format_manual() -> None:
    preset = PRESETS["sora-1.0"]
    assert (preset.reply, preset.seconds, preset.size, preset.base) == ("url", 10, "1280x720", "sora-2")


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("sora-2", "sora-2"),
        ("sora-2-pro", "sora-2-pro"),
        ("sora-2-2025-10-06", "sora-2"),
        ("sora-2-2025-12-08", "sora-2"),
        ("sora-2-pro-2025-10-06", "sora-2-pro"),
    ],
)
def test_the_names_of_openai(name: str, base: str) -> None:
    preset = PRESETS[name]
    assert (preset.base, preset.seconds, preset.size, preset.reply) == (base, None, "720x1280", "html")
    assert ("pro" in preset.needs) == ("pro" in name)


@pytest.mark.parametrize("name", VEO)
def test_veo(name: str) -> None:
    preset = PRESETS[name]
    assert (preset.kind, preset.seconds, preset.size) == ("video", None, None)
    assert preset.base in VEO
    assert (preset.images == "frames") == name.endswith("-frames")
    assert (preset.images == "components") == name.endswith("-components")


@pytest.mark.parametrize(
    ("name", "count", "roles"),
    [
        ("sora-2", 0, ()),
        ("sora-2", 1, ("first_frame",)),
        ("sora_video2", 3, ("reference_image",) * 3),  # platform manual, Chat: several references
        ("veo3-pro-frames", 1, ("first_frame",)),
        ("veo3-pro-frames", 2, ("first_frame", "last_frame")),
        ("veo2-fast-components", 1, ("reference_image",)),
        ("gpt-image", 1, ("reference_image",)),
    ],
)
def test_what_pictures_are(name: str, count: int, roles: tuple[str, ...]) -> None:
    assert PRESETS[name].image_roles(count) == roles


def test_a_third_frame_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="first and a last frame, not 3") as caught:
        PRESETS["veo3-fast-frames"].image_roles(3)
    assert caught.value.param == "images"


def test_any_other_name_leaves_all_to_the_request() -> None:
    video, image = preset_for("kling-v3"), preset_for("flux", kind="image")
    assert (video.base, video.reply, video.seconds, video.size, video.needs) == (
        "kling-v3",
        "html",
        None,
        None,
        frozenset(),
    )
    assert (image.kind, image.reply) == ("image", "image")
    assert preset_for("sora-2") is PRESETS["sora-2"]


def test_styles_of_the_feature_manual() -> None:
    assert set(STYLES) == {
        "festive",
        "kakalaka",
        "news",
        "selfie",
        "handheld",
        "golden",
        "anime",
        "retro",
        "nostalgic",
        "comic",
    }
