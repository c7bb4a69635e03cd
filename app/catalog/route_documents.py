"""A route as the operator writes it, checked: a public name, and who serves it in which order."""

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.catalog.upstream_request import NO_OVERRIDES, Overrides
from app.validation import validate_document

FAMILY = "*"
MAX_CANDIDATES = 100
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
Order = Annotated[int, Field(ge=0, le=MAX_CANDIDATES)]


class RouteForm(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class CandidateDocument(RouteForm):
    """Who may serve: one account (by name or id), or every one of a provider, with a tag, or at all.

    ``model`` is the upstream's name; without it the account's own map says, or the public name goes through.
    Candidates of one ``order`` share by ``weight``; a higher one is used when none of the lower can be. Without
    ``order`` a candidate stands one behind the one before it.
    """

    account: Name | None = None
    provider: Name | None = None
    tag: Name | None = None
    any: bool | None = None
    model: Name | None = None
    weight: Weight = 1.0
    order: Order | None = None
    overrides: Overrides = NO_OVERRIDES

    @model_validator(mode="after")
    def _check_one_selector(self) -> "CandidateDocument":
        given = [name for name in SELECTORS if getattr(self, name)]
        if len(given) != 1 or self.any is False:
            raise ValueError(f"exactly one of {', '.join(SELECTORS)} must say who serves")
        return self

    @property
    def selector_text(self) -> str:
        """For people: ``account farm``, ``any``."""
        found = next(name for name in SELECTORS if getattr(self, name))
        return found if found == "any" else f"{found} {getattr(self, found)}"


class RouteDocument(RouteForm):
    """``model`` is a public name, or a family like ``veo*``. It stands for another name (``alias_of``), or has
    candidates. One that is not enabled is as good as none."""

    model: Public
    alias_of: Name | None = None
    candidates: tuple[CandidateDocument, ...] = Field(default=(), max_length=MAX_CANDIDATES)
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
        named = [each.account for each in self.candidates if each.account]
        for account in named:
            if named.count(account) > 1:
                raise ValueError(f"account {account} is named twice; it serves under one name only")
        return self

    def numbered_candidates(self) -> list[tuple[int, CandidateDocument]]:
        """Every candidate with its order said."""
        found: list[tuple[int, CandidateDocument]] = []
        order = -1
        for candidate in self.candidates:
            order = order + 1 if candidate.order is None else candidate.order
            found.append((order, candidate))
        return sorted(found, key=lambda pair: pair[0])


def read_route(document: Any) -> RouteDocument:
    """Raises ``InvalidRequest`` that names the field, like ``candidates.1.weight``."""
    return validate_document(RouteDocument, document, whole="candidates")


def route_json(document: RouteDocument) -> dict[str, Any]:
    """As it would be written, without what is only default."""
    return document.model_dump(mode="json", exclude_defaults=True)
