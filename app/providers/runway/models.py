"""What Runway's models take at each endpoint, as ``app/catalog/models/runway.toml`` has it from Runway's SDK."""

import re
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict

from app.providers.model_facts import ModelFacts, read_facts

IMAGE, TEXT = "text_to_image", "text_to_video"
FRAMES, EDIT = "image_to_video", "video_to_video"
PIXELS = re.compile(r"\d{3,}:\d{3,}")
AUTO = "auto_"
IMAGE_WORDS = ("image", "recraft", "fibo", "ideogram", "seedream", "nano_banana", "gemini_2.5_flash")
"""In the names of models that make pictures, for those that the file lacks."""


class Endpoint(BaseModel):
    """The schema of one model at one endpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    takes: frozenset[str]
    needs: frozenset[str] = frozenset()
    ratio: tuple[str, ...] = ()
    """``W:H`` in pixels, shapes as ``16:9``, or ``auto_720p``: the shape of the input at that quality."""
    resolution: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    """Shapes into which a source can be extended."""
    positions: tuple[str, ...] = ()
    """Of pictures: ``first``, ``last``."""

    @property
    def pixel_ratios(self) -> tuple[str, ...]:
        return tuple(word for word in self.ratio if PIXELS.fullmatch(word))

    @property
    def auto_tiers(self) -> tuple[str, ...]:
        return tuple(word.removeprefix(AUTO) for word in self.ratio if word.startswith(AUTO))

    @property
    def shapes(self) -> tuple[str, ...]:
        return tuple(w for w in self.ratio if not (PIXELS.fullmatch(w) or w.startswith(AUTO)))


def model_of(name: str) -> ModelFacts | None:
    """None for a model that the file lacks: Runway decides."""
    return read_facts("runway").find_model(name)


@cache
def endpoints_of(name: str) -> Mapping[str, Endpoint] | None:
    """The schemas of a model by endpoint; None for a model that the file lacks."""
    known = model_of(name)
    if known is None:
        return None
    return {endpoint: Endpoint.model_validate(fields) for endpoint, fields in known.traits.items()}


def makes_images(name: str) -> bool:
    known = model_of(name)
    return any(word in name for word in IMAGE_WORDS) if known is None else known.kind == "image"


def sizes_of(name: str) -> frozenset[str]:
    """Every ``WxH`` that the model makes, where it makes only some."""
    known = [one for key, one in (endpoints_of(name) or {}).items() if key in {TEXT, FRAMES}]
    return frozenset(word.replace(":", "x") for one in known for word in one.pixel_ratios)
