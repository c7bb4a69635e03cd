"""A row of the contract: one call, and what must hold of its answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any

Holds = Mapping[str, Any]


@dataclass(frozen=True)
class Like:
    """Text that this pattern matches whole."""

    pattern: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(self.pattern, other, re.DOTALL) is not None


@dataclass(frozen=True)
class Within:
    """A number from ``low`` to ``high``."""

    low: float
    high: float

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int | float) and self.low <= other <= self.high


@dataclass(frozen=True)
class Keys:
    """An object with exactly these keys, and ``optional`` ones that it has at times."""

    names: frozenset[str]
    optional: frozenset[str] = frozenset()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and set(other) - self.optional == self.names


def keys(text: str, optional: str = "") -> Keys:
    return Keys(frozenset(text.split()), frozenset(optional.split()))


@dataclass(frozen=True)
class Row:
    """``section`` is the manual's heading, ``says`` what it promises.

    In ``path`` and ``body``, ``$video`` and its like stand for things that are made before (``conftest``).
    ``holds`` maps places in the answer, such as ``error.param`` or ``data.0.id``, to what is there; an empty
    place is the whole answer. ``then`` are looks at paths where ``$id`` is what was made.
    """

    section: str
    says: str
    call: str
    body: Mapping[str, Any] | None = None
    status: int = 200
    holds: Holds = field(default_factory=dict)
    then: tuple[tuple[str, Holds], ...] = ()
    form: bool = False
    """Sends the body as a form; a value of bytes is a file."""
    key: str = "usual"
    """One of ``conftest.Place.headers``."""
    times: int = 1
    """How often the call is made; the last answer counts."""
    where: str = "usual"
    """Or ``deserted``, the gateway whose only account is disabled, or ``crowded``, whose accounts are full."""

    def __str__(self) -> str:
        return f"{self.section}: {self.says}"


def refused(param: str | None, message: str, *, kind: str = "invalid_request_error") -> Holds:
    """The envelope of every error; ``message`` is a pattern."""
    return {
        "error": keys("message type param code"),
        "error.message": Like(message),
        "error.type": kind,
        "error.param": param,
    }


def filled(value: Any, things: Mapping[str, str]) -> Any:
    """``value`` with every ``$name`` in its texts replaced."""
    if isinstance(value, str):
        return Template(value).safe_substitute(things)
    if isinstance(value, Mapping):
        return {name: filled(item, things) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, things) for item in value]
    return value


def at(document: Any, place: str) -> Any:
    for step in place.split(".") if place else ():
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def check(document: Any, holds: Holds) -> None:
    for place, expected in holds.items():
        assert expected == at(document, place), (place, at(document, place))
