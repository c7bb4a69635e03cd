"""A client key, defined once: what can be set on it, who owns its tasks, and what it may use.

A new field needs: its line in ``KeyTerms``, a column with its migration, and in the panel its input with the label
in two languages. The row, the panel's API, the configuration file and backups are derived from ``KeyTerms``; the
command line has an option only for the fields that it names.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from app import clock
from app.errors import AddressNotAllowed, ModelNotAllowed
from app.keys.gate_options import GATE_CHOICES
from app.keys.money_fields import Dollars
from app.keys.project import OWNER_PREFIX, ProjectLimits, limits_of_row
from app.validation import validate_document

ModelName = Annotated[str, Field(min_length=1, max_length=200)]
Network = IPv4Network | IPv6Network
FAMILY_END = "*"
OPTION_VALUES = {
    "videos_dialect": ("openai", "manual"),
    "labels": ("implicit", "visible", "c2pa", "all"),
    "gates": tuple(GATE_CHOICES),
    "enhance": ("on", "off"),
}
"""The options that dialects, gates and the storing of films read, with their allowed values."""
JSON_COLUMNS = ("models", "networks", "options")


class KeyTerms(BaseModel):
    """Everything that can be set on a key. Times are UTC seconds, budgets US dollars; None and an empty list mean
    no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=200)
    project: str | None = Field(default=None, max_length=190)
    enabled: bool = True
    expires_at: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    models: tuple[ModelName, ...] = Field(default=(), max_length=1000)
    """Names, or families such as ``veo*``."""
    networks: tuple[str, ...] = Field(default=(), max_length=1000)
    """Networks that requests may come from, such as ``10.0.0.0/8``."""
    rpm: int | None = Field(default=None, ge=1, le=1_000_000)
    """Requests a minute; reading is not counted."""
    tasks_limit: int | None = Field(default=None, ge=0, le=1_000_000)
    """Tasks that have not ended."""
    budget_total: Dollars | None = None
    budget_daily: Dollars | None = None
    budget_monthly: Dollars | None = None
    keep_prompts: bool = True
    """Without it prompts and inputs are removed once their task has ended."""
    may_rotate: bool = False
    """Whether the holder of the key may replace its secret."""
    priority: int = Field(default=0, ge=-1, le=1)
    """Of its tasks whose request names none: -1 later, 1 sooner."""
    most_priority: int = Field(default=0, ge=-1, le=1, validate_default=True)
    """That a request may ask for, at least the one above."""
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
            if FAMILY_END in name[:-1]:
                raise ValueError(f"{name}: * may only be the last character, as in veo*")
        return tuple(dict.fromkeys(value))

    @field_validator("networks")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_plain_network(text) for text in value))

    @field_validator("most_priority")
    @classmethod
    def _check_most_priority(cls, value: int, info: ValidationInfo) -> int:
        return max(value, int(info.data.get("priority", value)))

    @field_validator("options")
    @classmethod
    def _check_options(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, chosen in value.items():
            if name not in OPTION_VALUES:
                raise ValueError(f"there is no option {name[:100]}; there are {', '.join(OPTION_VALUES)}")
            if chosen not in OPTION_VALUES[name]:
                raise ValueError(f"{name} must be one of {', '.join(OPTION_VALUES[name])}")
        return value

    def as_columns(self) -> dict[str, Any]:
        """The values of the columns of the table."""
        values = self.model_dump()
        return values | {name: json.dumps(values[name]) for name in JSON_COLUMNS}


class ClientKey(KeyTerms):
    """A stored key. It is read from its row without validation, as its terms were validated when written."""

    id: str
    """The public part of the key."""
    owner: str
    """``project:NAME`` or ``key:ID``: tasks belong to the owner, and every key of a project sees them."""
    created_at: float = 0.0
    secret_given: bool = False
    """The operator brought the secret, so it does not begin with the id."""
    source: str = "store"
    """``file``: declared in the configuration file, and changed only there."""
    old_until: float | None = None
    """Until when the secret before the last rotation still works."""
    secret_until: float | None = None
    """The same, where the request brought that secret."""
    team: ProjectLimits | None = None
    """The limits of its project, which hold beside its own."""

    @classmethod
    def of_row(cls, row: Any, *, until: float | None = None) -> "ClientKey":
        """Of a row of ``KEYS_WITH_PROJECTS``. ``until``: when the secret that it was found by ends."""
        return cls.model_construct(
            **terms_of_row(row),
            id=row.id,
            owner=f"{OWNER_PREFIX}{row.project}" if row.project else f"key:{row.id}",
            created_at=row.created_at,
            secret_given=row.secret_given,
            source=row.source,
            old_until=row.old_until,
            secret_until=until,
            team=limits_of_row(row),
        )

    @property
    def has_budget(self) -> bool:
        return not (self.budget_total is self.budget_daily is self.budget_monthly is None)

    @property
    def budget_holders(self) -> "tuple[ClientKey | ProjectLimits, ...]":
        """The key and its project, as far as they have budgets."""
        if self.team is None:  # of nearly all keys
            return (self,) if self.has_budget else ()
        return tuple(each for each in (self, self.team) if each.has_budget)

    @property
    def project_id(self) -> str | None:
        return self.team.id if self.team is not None else None

    def terms(self) -> dict[str, Any]:
        """The fields of ``KeyTerms``."""
        return self.model_dump(include=set(KeyTerms.model_fields))

    def may_use(self, model: str) -> bool:
        return not self.models or any(_matches_model(name, model) for name in self.models)

    def require_model(self, model: str) -> None:
        """Raises ``ModelNotAllowed``."""
        if self.models and not self.may_use(model):
            raise ModelNotAllowed(model)

    def require_address(self, address: str | None) -> None:
        """Raises ``AddressNotAllowed``, also when the client's address is unknown (None)."""
        if self.networks and not _is_inside(self.networks, address):
            raise AddressNotAllowed


def terms_of_row(row: Any) -> dict[str, Any]:
    """The fields of ``KeyTerms`` from a row of the table."""
    terms = {name: getattr(row, name) for name in KeyTerms.model_fields}
    decoded = {name: json.loads(terms[name]) for name in JSON_COLUMNS}
    return terms | decoded | {name: tuple(decoded[name]) for name in ("models", "networks")}


def read_terms(fields: Mapping[str, Any]) -> KeyTerms:
    """Raises ``InvalidRequest`` that names the field."""
    return validate_document(KeyTerms, dict(fields), whole="key")


def moment_in_days(days: float | None) -> float | None:
    """The time this many days from now, in UTC seconds."""
    return None if days is None else clock.now() + days * 86400


def _matches_model(name: str, model: str) -> bool:
    return model.startswith(name[:-1]) if name.endswith(FAMILY_END) else model == name


def _is_inside(networks: tuple[str, ...], address: str | None) -> bool:
    try:
        client: IPv4Address | IPv6Address = ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(client, IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped  # how a socket for both families names an IPv4 client
    return any(client in _parse_network(text) for text in networks)


@lru_cache(maxsize=10_000)
def _parse_network(text: str) -> Network:
    return ip_network(text)


def _plain_network(text: str) -> str:
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError(f"{text} is not a network; write 10.0.0.0/8, 2001:db8::/32 or one address") from None


def _without_nul(text: str) -> str:
    """PostgreSQL cannot store NUL in a text."""
    return text.replace("\0", "")
