"""What only this adapter reads of Alibaba's models: which form of request each takes.

https://help.aliyun.com/zh/model-studio/text-to-video-api-reference and its neighbours, one page per model
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.generation import Action, Role
from app.providers.model_facts import ModelFacts, read_facts

Form = Literal["media", "text", "sized", "image", "frames", "references"]
"""``media``: inputs as a typed list (2.7 and later). ``text``: none but a sound, with ratio and resolution.
``sized``: none but a sound, with a size in pixels. ``image``, ``frames``, ``references``: fields of their own
(2.6 and earlier)."""

TIERS = {"480P": 480, "720P": 720, "1080P": 1080}
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "adaptive")
"""For models that are not known."""
SIZES = {
    "480P": ("832*480", "480*832", "624*624"),
    "720P": ("1280*720", "720*1280", "960*960", "1088*832", "832*1088"),
    "1080P": ("1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632"),
}
ROLES: frozenset[Role] = frozenset(
    {"first_frame", "last_frame", "reference_image", "reference_video", "source_video", "audio"}
)


class VideoTraits(BaseModel):
    """The traits of a family of video models; the defaults are for models that are not known."""

    model_config = ConfigDict(extra="forbid")

    form: Form = "media"
    actions: tuple[Action, ...] = ("generate",)
    needs: tuple[Role, ...] = ()
    """Inputs without which it makes nothing."""
    one_of: tuple[Role, ...] = ()
    """It needs at least one of these."""
    shots: bool = False
    sound_as: str = "driving_audio"
    """The type of a sound in the media list."""
    clip: str = "reference_video"
    """The type of a source video in the media list."""


UNKNOWN = VideoTraits(actions=("generate", "edit", "extend"), sound_as="reference_audio")


def find_model(name: str) -> ModelFacts | None:
    """None for names unknown here: DashScope decides."""
    return read_facts("dashscope").find_model(name)


def video_traits(model: ModelFacts | None) -> VideoTraits:
    return VideoTraits.model_validate(model.traits) if model else UNKNOWN


def roles_of(model: ModelFacts | None) -> frozenset[Role]:
    return ROLES if model is None else frozenset(model.inputs)
