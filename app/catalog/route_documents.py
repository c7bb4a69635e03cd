"""A route as the operator writes it, validated: a model, and the accounts that serve it in which order."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.catalog.overrides import NO_OVERRIDES, Overrides
from app.providers.base import Fit, RouteFit
from app.validation import validate_document

FAMILY = "*"
MAX_CANDIDATES = 100
MAX_RETRIES = 5
Preference = Literal["cheapest", "fastest", "most_reliable"]
SELECTORS = ("account", "provider", "tag", "any")


def _check_name(value: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("must hold no control characters")
    return value


def _check_family(value: str) -> str:
    if FAMILY in value[:-1]:
        raise ValueError("may hold one *, at its end: veo* serves every name that begins with veo")
    return value


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_name)]
Public = Annotated[Name, AfterValidator(_check_family)]
Weight = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Retries = Annotated[int, Field(ge=0, le=MAX_RETRIES, strict=True)]
Order = Annotated[int, Field(ge=0, le=MAX_CANDIDATES)]


class RouteForm(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class CandidateDocument(RouteForm):
    """Which accounts may serve: one (by name or id), every one of a provider, every one with a tag, or any.

    ``model`` is the upstream's name; without it the account's map decides, or the public name is used. Within one
    ``order``, load is split by ``weight``; a higher order is a fallback. A candidate without ``order`` is one order
    behind the candidate before it. ``lengths`` and ``sizes`` say what may be made where the upstream's model lacks what
    is asked; without them the account's rules count; ``lengths: join`` makes a longer film of segments. ``successor``:
    once the vendor has retired the model, its successor is asked for. ``prefer``: which accounts of its order come first, by
    our own figures; one line says it for all of them.
    """

    account: Name | None = None
    provider: Name | None = None
    tag: Name | None = None
    any: bool | None = None
    model: Name | None = None
    weight: Weight = 1.0
    order: Order | None = None
    prefer: Preference | None = None
    overrides: Overrides = NO_OVERRIDES
    lengths: RouteFit | None = None
    sizes: Fit | None = None
    successor: bool = False

    @model_validator(mode="after")
    def _check_one_selector(self) -> "CandidateDocument":
        given = [name for name in SELECTORS if getattr(self, name)]
        if len(given) != 1 or self.any is False:
            raise ValueError(f"exactly one of {', '.join(SELECTORS)} must say who serves")
        return self

    @property
    def selector_text(self) -> str:
        """The selector in words: ``account farm``, ``any``."""
        selector = next(name for name in SELECTORS if getattr(self, name))
        return selector if selector == "any" else f"{selector} {getattr(self, selector)}"


class RetryRule(RouteForm):
    """How often a task goes on elsewhere after a vendor's own word: that its work failed, that moderation stopped it, that
    the model is retired."""

    failed: Retries = 0
    moderated: Retries = 0
    retired: Retries = 0


NO_RETRY = RetryRule()
OWN_HARDWARE_RETRY = RetryRule(failed=2, moderated=1, retired=1)
"""Where nobody is paid for what failed, and no route says otherwise."""


class RouteDocument(RouteForm):
    """``model`` is a public name or a family like ``veo*``: an alias of another name (``alias_of``), or served by
    ``candidates``. A disabled route is ignored. ``retry``: None leaves it to who made the attempt."""

    model: Public
    alias_of: Name | None = None
    candidates: tuple[CandidateDocument, ...] = Field(default=(), max_length=MAX_CANDIDATES)
    retry: RetryRule | None = None
    enabled: bool = True
    note: str = Field(default="", max_length=10_000)

    @field_validator("alias_of")
    @classmethod
    def _check_alias_target(cls, alias_of: str | None, so_far: ValidationInfo) -> str | None:
        if alias_of is not None and (FAMILY in alias_of or alias_of == so_far.data.get("model")):
            raise ValueError("must be another name, and no family")
        return alias_of

    @model_validator(mode="after")
    def _check_alias_or_candidates(self) -> "RouteDocument":
        if (self.alias_of is None) == (not self.candidates):
            raise ValueError("either alias_of or candidates must be given")
        if self.alias_of is not None and self.retry is not None:
            raise ValueError("retry belongs to the route that alias_of leads to")
        named = [each.account for each in self.candidates if each.account]
        for account in named:
            if named.count(account) > 1:
                raise ValueError(f"account {account} is named twice; it serves under one name only")
        for order in {order for order, _ in self.numbered_candidates()}:
            if len(self._stated_preferences(order)) > 1:
                raise ValueError("candidates of one order must prefer the same")
        return self

    def _stated_preferences(self, order: int) -> set[Preference]:
        return {each.prefer for number, each in self.numbered_candidates() if number == order and each.prefer}

    def preference_at(self, order: int) -> Preference | None:
        """Which accounts of an order come first; None: as their tier, load and weight say."""
        return next(iter(self._stated_preferences(order)), None)

    def numbered_candidates(self) -> list[tuple[int, CandidateDocument]]:
        """Every candidate with its order, sorted by it."""
        numbered: list[tuple[int, CandidateDocument]] = []
        order = -1
        for candidate in self.candidates:
            order = order + 1 if candidate.order is None else candidate.order
            numbered.append((order, candidate))
        return sorted(numbered, key=lambda pair: pair[0])


def read_route(document: Any) -> RouteDocument:
    """Raises ``InvalidRequest`` that names the field, like ``candidates.1.weight``."""
    return validate_document(RouteDocument, document, whole="candidates")


def route_json(document: RouteDocument) -> dict[str, Any]:
    """The document without fields that have their default."""
    return document.model_dump(mode="json", exclude_defaults=True)
