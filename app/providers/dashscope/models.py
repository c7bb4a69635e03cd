"""What Alibaba's video models can take, and which form of request each takes.

https://help.aliyun.com/zh/model-studio/text-to-video-api-reference and its neighbours, one page per model
"""

from dataclasses import dataclass
from typing import Literal

from app.generation import Action, Role

Form = Literal["media", "text", "sized", "image", "frames", "references"]
"""``media``: inputs as a typed list (2.7 and later). ``text``: none but a sound, with ratio and resolution.
``sized``: none but a sound, with a size in pixels. ``image``, ``frames``, ``references``: fields of their own
(2.6 and earlier)."""

TIERS = {"480P": 480, "720P": 720, "1080P": 1080}
SIZES = {
    "480P": ("832*480", "480*832", "624*624"),
    "720P": ("1280*720", "720*1280", "960*960", "1088*832", "832*1088"),
    "1080P": ("1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632"),
}
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
ALL = ("480P", "720P", "1080P")
HIGH = ("720P", "1080P")

FRAMES: frozenset[Role] = frozenset({"first_frame", "last_frame"})
CLIPS: frozenset[Role] = frozenset({"reference_video", "source_video"})
PICTURES: frozenset[Role] = frozenset({"reference_image"})
SOUND: frozenset[Role] = frozenset({"audio"})
FIRST: frozenset[Role] = frozenset({"first_frame"})
NOTHING: frozenset[Role] = frozenset()
GENERATE: frozenset[Action] = frozenset({"generate"})
CHANGE: frozenset[Action] = frozenset({"generate", "edit", "extend"})


@dataclass(frozen=True, slots=True)
class DashScopeVideoModel:
    """One family; all ``parts`` occur in its models' names."""

    parts: tuple[str, ...]
    form: Form
    roles: frozenset[Role] = NOTHING
    seconds: tuple[float, float] | None = None
    tiers: tuple[str, ...] = ALL
    actions: frozenset[Action] = GENERATE
    shots: bool = False
    pictures: int = 5
    clips: int = 5
    """The most videos, and the most sounds in the media list."""
    sound: str = "driving_audio"
    """The type of a sound in the media list."""
    clip: str = "reference_video"
    """The type of a source video in the media list."""

    @property
    def is_adaptive(self) -> bool:
        return "wan3.0" in self.parts


MODELS = (
    DashScopeVideoModel(("wan3.0",), "media", FRAMES | PICTURES | CLIPS | SOUND, (2, 30), ALL, CHANGE, pictures=10,
          sound="reference_audio"),
    DashScopeVideoModel(("wan2.7", "t2v"), "text", SOUND, (2, 15), HIGH),
    DashScopeVideoModel(("wan2.7", "i2v"), "media", FRAMES | SOUND | {"source_video"}, (2, 15), HIGH,
          frozenset({"generate", "extend"}), clips=1, clip="first_clip"),
    DashScopeVideoModel(("wan2.7", "r2v"), "media", PICTURES | {"reference_video"}, (2, 15), HIGH),
    DashScopeVideoModel(("wan2.7", "videoedit"), "media", PICTURES | {"source_video"}, (2, 10), HIGH,
          frozenset({"generate", "edit"}), pictures=4, clips=1, clip="video"),
    DashScopeVideoModel(("happyhorse", "t2v"), "text", NOTHING, None, HIGH),
    DashScopeVideoModel(("happyhorse", "i2v"), "media", FIRST, None, HIGH),
    DashScopeVideoModel(("happyhorse", "r2v"), "media", PICTURES, None, HIGH, pictures=9),
    DashScopeVideoModel(("happyhorse", "video-edit"), "media", PICTURES | {"source_video"}, None, HIGH,
          frozenset({"generate", "edit"}), clips=1, clip="video"),
    DashScopeVideoModel(("kf2v",), "frames", FRAMES, (5, 5)),
    DashScopeVideoModel(("wan2.6", "t2v"), "sized", SOUND, (2, 15), HIGH, shots=True),
    DashScopeVideoModel(("wan2.6", "i2v"), "image", FIRST | SOUND, (2, 15), HIGH, shots=True),
    DashScopeVideoModel(("wan2.6", "r2v"), "references", PICTURES | {"reference_video"}, (2, 15), HIGH, shots=True),
    DashScopeVideoModel(("wan2.5", "t2v"), "sized", SOUND, (5, 10)),
    DashScopeVideoModel(("wan2.5", "i2v"), "image", FIRST | SOUND, (5, 10)),
    DashScopeVideoModel(("t2v",), "sized", NOTHING, (5, 5)),
    DashScopeVideoModel(("i2v",), "image", FIRST, (3, 5)),
    DashScopeVideoModel(("r2v",), "references", PICTURES | {"reference_video"}, (5, 10)),
)  # fmt: skip
NEWER = DashScopeVideoModel(
    ("",), "media", FRAMES | PICTURES | CLIPS | SOUND, None, ALL, CHANGE, pictures=10, sound="reference_audio"
)
"""For names unknown here: DashScope decides."""


def model_of(name: str) -> DashScopeVideoModel:
    return next((model for model in MODELS if all(part in name.lower() for part in model.parts)), NEWER)
