"""What other gateways call vendors, and the provider that serves each here: ``vendors.toml``."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from app.moving.plan import Peer

FILE = Path(__file__).with_name("vendors.toml")
ENDPOINTS = ("/chat/completions", "/videos", "/images/generations")


@dataclass(frozen=True, slots=True)
class PeerVendor:
    """A line of the file, which explains the fields."""

    name: str
    provider: str = ""
    base_url: str = ""
    built_in: str = ""
    films: Literal["second", "call", ""] = ""
    narrow: bool = False
    whole_url: bool = False
    region: str = ""
    only: str = ""
    secret: str = "api_key"  # noqa: S105 - the name of a parameter
    options: Mapping[str, str] = field(default_factory=dict)

    def address_of(self, given: str) -> str | None:
        """The address here for the one that is given there; None for one that can't be translated."""
        plain = given.strip().rstrip("/")
        if not plain or plain == (self.built_in or self.base_url):
            return self.base_url
        if not self.whole_url:
            return plain
        return next((plain.removesuffix(end) for end in ENDPOINTS if plain.endswith(end)), None)


def vendors_of(peer: Peer) -> Mapping[str, PeerVendor]:
    """By the type of a channel, or the prefix of a model."""
    return {name: PeerVendor(**line) for name, line in _document()[peer].items()}


def makes_films(model: str) -> bool:
    """As far as its name says it."""
    return any(word in model.lower() for word in _document()["film_words"])


def prefix_of_name(model: str, *, default: str) -> str:
    """The prefix that LiteLLM would put before a name without one."""
    known = _document()["prefixes"]
    return next((prefix for begin, prefix in known.items() if model.startswith(begin)), default)


@cache
def _document() -> Mapping[str, Any]:
    return tomllib.loads(FILE.read_text())
