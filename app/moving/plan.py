"""What another gateway holds, as it would be held here; and what can't be carried, and why. Nothing is written yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.accounts.definition import AccountDraft
from app.catalog.price import ModelPrice, read_price
from app.catalog.route_documents import RouteDocument
from app.errors import InvalidRequest

Peer = Literal["new-api", "one-api", "sora2api", "litellm"]
PEERS: tuple[Peer, ...] = ("new-api", "one-api", "sora2api", "litellm")
PartKind = Literal["account", "route", "project", "key", "price", "rest"]
Row = Mapping[str, Any]
Tables = Mapping[str, list[dict[str, Any]]]
"""Rows by the name of their table; one that the other gateway does not have is missing."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to say of a line: ``word`` names a sentence of ``app/moving/words.py``, ``values`` fill it."""

    word: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MovedAccount:
    """``there``: what the other gateway calls it. ``named_here``: it has no name there, so another one does as well."""

    there: str
    draft: AccountDraft
    remarks: tuple[Remark, ...] = ()
    named_here: bool = False
    kind: PartKind = "account"


@dataclass(frozen=True, slots=True)
class MovedRoute:
    """Its candidates name accounts as the plan does."""

    there: str
    document: RouteDocument
    remarks: tuple[Remark, ...] = ()
    kind: PartKind = "route"


@dataclass(frozen=True, slots=True)
class MovedProject:
    """What all keys of a user or a team share; ``terms`` as in ``ProjectTerms``."""

    there: str
    terms: Mapping[str, Any]
    remarks: tuple[Remark, ...] = ()
    kind: PartKind = "project"


@dataclass(frozen=True, slots=True)
class MovedKey:
    """``terms`` as in ``KeyTerms``. Without a ``secret`` it gets a new one."""

    there: str
    terms: Mapping[str, Any]
    secret: str = field(default="", repr=False)
    remarks: tuple[Remark, ...] = ()
    kind: PartKind = "key"


@dataclass(frozen=True, slots=True)
class MovedPrice:
    """The price of a model for client keys."""

    there: str
    model: str
    price: ModelPrice
    remarks: tuple[Remark, ...] = ()
    kind: PartKind = "price"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is not carried; its remarks say why, and what to do."""

    there: str
    remarks: tuple[Remark, ...]
    kind: PartKind = "rest"


MovedPart = MovedAccount | MovedRoute | MovedProject | MovedKey | MovedPrice | LeftOut
KIND_ORDER: tuple[PartKind, ...] = ("account", "route", "project", "key", "price", "rest")


def in_order(parts: list[MovedPart]) -> list[MovedPart]:
    """By kind, as they must be written: routes name accounts."""
    return sorted(parts, key=lambda part: KIND_ORDER.index(part.kind))


def left_out(kind: PartKind, there: str, word: str, **values: str) -> LeftOut:
    """With one remark."""
    return LeftOut(there, (Remark(word, values),), kind)


def priced(model: str, fields: Mapping[str, Any], *remarks: Remark) -> MovedPart:
    """The price of a model, or why it can't be one."""
    try:
        return MovedPrice(model, model, read_price(fields), remarks)
    except InvalidRequest as error:
        return left_out("price", model, "invalid", detail=error.message)
