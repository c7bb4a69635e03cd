"""What is known of vendors' models: one readable file a vendor, ``app/catalog/models/<vendor>.toml``.

A model that no file knows is passed on without bounds: the vendor decides.
"""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.generation import Kind, Role
from app.providers.base import Capabilities

FOLDER = Path(__file__).parent.parent / "catalog" / "models"
ANY_RESOLUTION = "any"
Sound = Literal["choice", "always", "never"]


class FactsForm(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelFacts(FactsForm):
    """One model, or a family of models whose names begin alike. What is not stated is not known."""

    ids: tuple[str, ...] = ()
    """The vendor's names of it, in lower case."""
    starts: tuple[str, ...] = ()
    """Beginnings of names, in lower case; the longest that fits counts."""
    kind: Kind = "video"
    seconds: tuple[float, float] | None = None
    """Shortest and longest, where every length between is made."""
    lengths: tuple[float, ...] = ()
    """The lengths that it makes, where these are the only ones, in seconds."""
    sizes: tuple[str, ...] = ()
    """``WxH``, where only these are made."""
    tiers: Mapping[str, int] = Field(default_factory=dict)
    """The vendor's words for resolutions, and the short side of each in pixels."""
    ratios: tuple[str, ...] = ()
    inputs: Mapping[Role, int] = Field(default_factory=dict)
    """The most inputs of each role."""
    sound: Sound | None = None
    prompt_limit: int | None = None
    """The longest prompt, in characters."""
    retires: date | None = None
    """The vendor's last day for it."""
    successor: str = ""
    prices: Mapping[str, float] = Field(default_factory=dict)
    """US dollars a second by resolution; ``any`` where the resolution does not matter."""
    source: str = ""
    """Where this is read, when not at the file's own source."""
    checked: date | None = None
    traits: Mapping[str, Any] = Field(default_factory=dict)
    """What only the vendor's own adapter reads."""

    @model_validator(mode="after")
    def _check_names(self) -> "ModelFacts":
        if not (self.ids or self.starts):
            raise ValueError("a model needs ids or starts")
        if self.seconds and self.lengths:
            raise ValueError("a model has seconds or lengths, not both")
        return self

    def rate_for(self, resolution: str) -> Decimal | None:
        """The vendor's list price in US dollars a second, for exactly this resolution (``720p``)."""
        names = [name for name, height in self.tiers.items() if f"{height}p" == resolution]
        for name in (resolution, *names, ANY_RESOLUTION):
            if name in self.prices:
                return Decimal(str(self.prices[name]))
        return None

    def capabilities(self, **more: Any) -> Capabilities:
        """What routing reads; ``more`` is what the adapter knows beside the file."""
        shortest_longest = (min(self.lengths), max(self.lengths)) if self.lengths else self.seconds
        return Capabilities(
            **{
                "kinds": frozenset({self.kind}),
                "roles": frozenset(self.inputs),
                "most": dict(self.inputs),
                "seconds": shortest_longest,
                "lengths": self.lengths,
                "sizes": frozenset(self.sizes),
                "tiers": dict(self.tiers),
                "ratios": self.ratios,
                "sound": self.sound,
                "prompt_limit": self.prompt_limit,
            }
            | more
        )


class VendorFacts(FactsForm):
    """One file."""

    source: str
    """The vendor's own page of its models."""
    checked: date
    billed: Mapping[str, Decimal] = Field(default_factory=dict)
    """The figures in its answers that are its own bill: US dollars for one of each, by name."""
    models: tuple[ModelFacts, ...] = ()

    def find_model(self, name: str) -> ModelFacts | None:
        """By id, else by the longest beginning; None for a model that the file does not know."""
        return _find_by_name(self.models, name)


@cache
def read_facts(vendor: str) -> VendorFacts:
    """The file of ``vendor``; without one, nothing is known."""
    path = FOLDER / f"{vendor}.toml"
    if not path.exists():
        return VendorFacts(source="", checked=date.min)
    return VendorFacts.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


def _find_by_name(models: Iterable[ModelFacts], name: str) -> ModelFacts | None:
    name, fitting = name.lower(), dict[str, ModelFacts]()
    for model in models:
        if name in model.ids:
            return model
        fitting |= {start: model for start in model.starts if name.startswith(start)}
    return fitting[max(fitting, key=len)] if fitting else None


@cache
def _all_models() -> tuple[ModelFacts, ...]:
    return tuple(model for vendor in known_vendors() for model in read_facts(vendor).models)


@lru_cache(maxsize=4096)  # clients choose some of the names
def kind_by_name(name: str) -> Kind | None:
    """What a model of this name makes at whichever server offers it, also under an owner's name
    (``Wan-AI/Wan2.2-T2V``); None when no file knows it."""
    for form in dict.fromkeys((name, name.rpartition("/")[2])):
        found = _find_by_name(_all_models(), form)
        if found is not None:
            return found.kind
    return None


def known_vendors() -> list[str]:
    """The vendors that have a file, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))
