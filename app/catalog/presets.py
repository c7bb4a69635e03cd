"""The model names of the clients' manuals as data: the kind, length, size and form of answer that a name stands for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Literal

from app.errors import InvalidRequest, UnknownModel
from app.generation import Role

Reply = Literal["link", "html", "url", "image"]
Images = Literal["any", "frames", "components"]
Need = Literal["pro"]

STYLES: tuple[str, ...] = (
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
)

FAMILIES = re.compile(r"(sora-2|sora_video2|veo)[\w.-]{0,100}", re.ASCII)
"""Names of video models, including those that are newer than this file."""
IMAGE_FAMILIES = re.compile(r"(gpt-image|dall-e|chatgpt-image)-[\w.-]{1,100}", re.ASCII)
"""OpenAI's names of image models, likewise."""
SNAPSHOTS = {
    "sora-2-2025-10-06": "sora-2",
    "sora-2-2025-12-08": "sora-2",
    "sora-2-pro-2025-10-06": "sora-2-pro",
}
VEO = (
    "veo2",
    "veo2-fast",
    "veo2-fast-components",
    "veo2-fast-frames",
    "veo2-pro",
    "veo3",
    "veo3-fast",
    "veo3-fast-frames",
    "veo3-pro",
    "veo3-pro-frames",
    "veo3.1",
    "veo3.1-pro",
)
FRAMES: tuple[Role, ...] = ("first_frame", "last_frame")
REFERENCES: tuple[Role, ...] = ("reference_image",)


@dataclass(frozen=True, slots=True)
class ModelPreset:
    """What a model name means.

    ``base``: the name it is a variant of; a route for the base serves the variant too. ``seconds`` and ``size``
    (``WxH``) are None when the name does not state them. ``needs``: tags that an account must have. ``images``: how
    pictures in a request are used.
    """

    name: str
    base: str
    kind: Literal["video", "image"] = "video"
    reply: Reply = "html"
    seconds: int | None = None
    size: str | None = None
    hd: bool = False
    needs: frozenset[Need] = frozenset()
    images: Images = "any"

    def image_roles(self, count: int, *, param: str = "images") -> tuple[Role, ...]:
        """The role of each of ``count`` pictures, in order. ``param`` is the client's name of their field.

        One picture is the first frame and several are references, unless the name states otherwise.
        Raises ``InvalidRequest`` for more frames than a first and a last one.
        """
        if self.images == "frames" and count > len(FRAMES):
            raise InvalidRequest(
                f"{self.name} takes a first and a last frame, not {count} images", param=param
            )
        if self.images == "frames":
            return FRAMES[:count]
        first = self.kind == "video" and self.images == "any" and count == 1
        return FRAMES[:1] if first else REFERENCES * count


def family_kind(name: str) -> Literal["video", "image"] | None:
    """The kind whose accounts all may serve the name, when neither a route nor a model map names it; None for a name of no
    family."""
    if IMAGE_FAMILIES.fullmatch(name):
        return "image"
    return "video" if FAMILIES.fullmatch(name) else None


def preset_for(name: str, *, kind: Literal["video", "image"] = "video") -> ModelPreset:
    """The preset ``name``; for any other name a preset that states nothing."""
    return PRESETS.get(name) or ModelPreset(
        name, base=name, kind=kind, reply="image" if kind == "image" else "html"
    )


def video_preset(name: str) -> ModelPreset:
    """Raises ``UnknownModel`` for a model of another kind."""
    preset = preset_for(name)
    if preset.kind != "video" or family_kind(name) == "image":
        raise UnknownModel(name)
    return preset


def _sora_presets() -> Iterator[ModelPreset]:
    pro = frozenset[Need]({"pro"})
    yield ModelPreset("sora-2", base="sora-2", size="720x1280")
    yield ModelPreset("sora-2-pro", base="sora-2-pro", size="720x1280", needs=pro)
    for name, base in SNAPSHOTS.items():
        yield ModelPreset(
            name, base=base, size="720x1280", needs=pro if base == "sora-2-pro" else frozenset()
        )
    yield ModelPreset("sora-1.0", base="sora-2", reply="url", seconds=10, size="1280x720")


def _sora_video2_presets() -> Iterator[ModelPreset]:
    for way, hd, length in product(("", "-portrait", "-landscape"), ("", "-hd"), ("", "-15s", "-25s")):
        pro = bool(hd) or length == "-25s"
        yield ModelPreset(
            f"sora_video2{way}{hd}{length}",
            base="sora-2-pro" if pro else "sora-2",
            reply="link",
            seconds=int(length[1:-1]) if length else 10,
            size="1280x704" if way == "-landscape" else "704x1280",
            hd=bool(hd) and length != "-25s",  # the platform manual: at 25 s hd has no effect
            needs=frozenset({"pro"}) if pro else frozenset(),
        )


def _sora2_presets() -> Iterator[ModelPreset]:
    sizes = {"landscape": "1280x720", "portrait": "720x1280"}
    for tier, way, seconds in product(("", "pro", "pro-hd"), sizes, (10, 15, 25)):
        yield ModelPreset(
            f"sora2{tier}-{way}-{seconds}s",
            base="sora-2-pro" if tier else "sora-2",
            seconds=seconds,
            size=sizes[way],
            hd=tier == "pro-hd" and seconds != 25,
            needs=frozenset({"pro"}) if tier else frozenset(),
        )


def _veo_presets() -> Iterator[ModelPreset]:
    for name in VEO:
        base, _, last = name.rpartition("-")
        if last in ("frames", "components"):
            yield ModelPreset(name, base=base, images="frames" if last == "frames" else "components")
        else:
            yield ModelPreset(name, base=name)


def _image_presets() -> Iterator[ModelPreset]:
    for suffix, size in (("", "360x360"), ("-landscape", "540x360"), ("-portrait", "360x540")):
        yield ModelPreset(f"gpt-image{suffix}", base="gpt-image", kind="image", reply="image", size=size)


PRESETS: Mapping[str, ModelPreset] = MappingProxyType(
    {
        preset.name: preset
        for family in (
            _sora_presets(),
            _sora_video2_presets(),
            _sora2_presets(),
            _veo_presets(),
            _image_presets(),
        )
        for preset in family
    }
)
