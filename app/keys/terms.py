"""What can be set on a key, read from whoever sets it: the command line, the panel, a file."""

import json
import time
from collections.abc import Mapping
from decimal import Decimal
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.validation import validate_document

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=9)]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
LIST_FIELDS = ("models", "networks")
OPTION_VALUES = {"videos_dialect": ("openai", "manual")}
"""What dialects look at, and the values that they know."""


class KeyTerms(BaseModel):
    """Times are UTC seconds, budgets US dollars; None and an empty list are without a limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=200)
    project: str | None = Field(default=None, max_length=190)
    enabled: bool = True
    expires_at: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    models: tuple[ModelName, ...] = Field(default=(), max_length=1000)
    networks: tuple[str, ...] = Field(default=(), max_length=1000)
    rpm: int | None = Field(default=None, ge=1, le=1_000_000)
    tasks_limit: int | None = Field(default=None, ge=0, le=1_000_000)
    budget_total: Dollars | None = None
    budget_daily: Dollars | None = None
    budget_monthly: Dollars | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    note: str = Field(default="", max_length=2000)

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is required")
        return _without_nul(value.strip())

    @field_validator("project")
    @classmethod
    def _check_project(cls, value: str | None) -> str | None:
        return _without_nul(value.strip()) or None if value is not None else None

    @field_validator("note")
    @classmethod
    def _check_note(cls, value: str) -> str:
        return _without_nul(value)

    @field_validator("models")
    @classmethod
    def _check_models(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if "*" in name[:-1]:
                raise ValueError(f"{name}: only the end of a name may be *, like veo*")
        return tuple(dict.fromkeys(value))

    @field_validator("networks")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_plain_network(text) for text in value))

    @field_validator("options")
    @classmethod
    def _check_options(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, chosen in value.items():
            if name not in OPTION_VALUES:
                raise ValueError(f"there is no {name[:100]}; there are {', '.join(OPTION_VALUES)}")
            if chosen not in OPTION_VALUES[name]:
                raise ValueError(f"{name} must be one of {', '.join(OPTION_VALUES[name])}")
        return value

    def as_columns(self) -> dict[str, Any]:
        """As the table has them."""
        values = self.model_dump()
        return values | {name: json.dumps(values[name]) for name in (*LIST_FIELDS, "options")}


def read_terms(fields: Mapping[str, Any]) -> KeyTerms:
    """Raises ``InvalidRequest``, which names the field."""
    return validate_document(KeyTerms, dict(fields), whole="key")


def moment_in_days(days: float | None) -> float | None:
    """The moment that lies so many days ahead."""
    return None if days is None else time.time() + days * 86400


def _plain_network(text: str) -> str:
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError(f"{text} is no network; write 10.0.0.0/8, 2001:db8::/32 or one address") from None


def _without_nul(text: str) -> str:
    """PostgreSQL keeps no NUL in a text."""
    return text.replace("\0", "")
