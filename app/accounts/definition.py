"""An account, defined once: ``AccountDraft`` is all that an operator can set on it.

Changes, the row in the store, lists (JSON, CSV), backups, the configuration file, and the objects of the panel's API
are derived from its fields. A new field needs: its line here, a column with its migration, and in the panel its
input with the label in two languages (``tests/test_new_fields.py`` adds one). If routing or a provider reads the
field, it also stands in ``app.providers.base.Account``.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from app.accounts.status import AccountStatus, Period, QuotaUnit
from app.generation import Kind
from app.providers.base import Account, Fit
from app.validation import validate_document

MAX_SLOTS = 100_000
FieldShape = Literal["text", "words", "pairs", "document", "quota"]


def _read_moment(value: Any) -> Any:
    """ISO 8601 as UTC seconds. A time without a zone is UTC, whatever the zone of this machine."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return value  # pydantic reports it
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _check_proxy(value: str | None) -> str | None:
    if value is None or not value.strip():
        return None
    value = value.strip()
    try:
        parts = urlsplit(value)
        works = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.path in {"", "/"}
        _ = parts.port
    except ValueError:
        works = False
    if not works:
        raise ValueError("must be like http://user:password@host:port")
    return value


def _refuse_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain NUL")  # PostgreSQL cannot store it in a text
    return value


Text = Annotated[str, AfterValidator(_refuse_nul)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
Address = Annotated[Text, Field(max_length=2000)]
Plan = Annotated[Text, Field(max_length=64)]
Note = Annotated[Text, Field(max_length=10_000)]
Secret = Annotated[Text, Field(max_length=20_000)]
Slots = Annotated[int, Field(ge=0, le=MAX_SLOTS)]
Weight = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Tier = Annotated[int, Field(ge=-1000, le=1000)]
Factor = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Rate = Annotated[int, Field(ge=1, le=1_000_000)]
Moment = Annotated[float, BeforeValidator(_read_moment), Field(ge=0, le=1e11, allow_inf_nan=False)]
Proxy = Annotated[Annotated[str, Field(max_length=2000)] | None, AfterValidator(_check_proxy)]
Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000_000, allow_inf_nan=False)]


class AccountForm(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class QuotaDraft(AccountForm):
    """``left`` defaults to ``limit``. A period ends at midnight UTC, a month at midnight of its last day."""

    unit: QuotaUnit = "count"
    limit: Dollars
    left: Dollars | None = None
    period: Period = "none"


class AccountDraft(AccountForm):
    """Everything that can be set on an account; only ``provider`` and ``name`` are required."""

    provider: Annotated[Text, Field(min_length=1, max_length=64)]
    name: Name
    base_url: Address = ""
    secret: Secret = Field(default="", repr=False)
    models: dict[Text, Text] = {}
    kinds: frozenset[Kind] = frozenset()
    slots: Slots = 1
    limits: dict[Kind, Slots] = {}
    options: dict[Text, Any] = {}
    tags: frozenset[Text] = frozenset()
    plan: Plan = ""
    note: Note = ""
    weight: Weight = 1.0
    tier: Tier = 0
    lengths: Fit = "exact"
    sizes: Fit = "exact"
    cost_factor: Factor = 1.0
    rpm: Rate | None = None
    quota: QuotaDraft | None = None
    expires_at: Moment | None = None
    proxy: Proxy = Field(default=None, repr=False)
    enabled: bool = True

    @classmethod
    def of_status(cls, status: AccountStatus) -> "AccountDraft":
        """The draft that would create this account again, with its secret and its proxy's password."""
        values = {name: _value_of(status, name) for name in cls.model_fields}
        return cls.model_construct(**values | {"quota": _quota_of(status)})

    def changed_fields(self, other: "AccountDraft") -> frozenset[str]:
        """The fields in which ``other`` differs. The remaining quota changes all the time and does not count."""
        fields = {name for name in AccountDraft.model_fields if getattr(self, name) != getattr(other, name)}
        if self.quota and other.quota:
            terms = [quota.model_dump(exclude={"left"}) for quota in (self.quota, other.quota)]
            fields -= {"quota"} if terms[0] == terms[1] else set()
        return frozenset(fields)

    def as_account(self, account_id: str) -> Account:
        """The part of it that routing and providers read."""
        return Account(id=account_id, **{name: getattr(self, name) for name in ACCOUNT_FIELDS})


ACCOUNT_FIELDS = tuple(field.name for field in fields(Account) if field.name in AccountDraft.model_fields)
"""The fields of a draft that ``Account`` has too."""
EXTRA_FIELDS = tuple(
    name
    for name in AccountDraft.model_fields
    if name not in ACCOUNT_FIELDS and name not in {field.name for field in fields(AccountStatus)}
)
"""The fields of a draft that nothing but the operator reads; ``AccountStatus.extra`` holds them."""
FIXED_FIELDS = frozenset({"provider", "secret"})
"""What a change cannot set: the provider is fixed, and ``AccountRepository.rotate_secret`` sets the secret."""


def field_shape(name: str) -> FieldShape:
    """How a field is written in a column and in a cell of a list, by its type."""
    annotation = AccountDraft.model_fields[name].annotation
    if get_origin(annotation) is frozenset:
        return "words"
    if get_origin(annotation) is dict:
        return "document" if get_args(annotation)[1] is Any else "pairs"
    return "quota" if name == "quota" else "text"


def _change_fields() -> dict[str, Any]:
    """The fields of a draft, each optional and without its default."""
    types = get_type_hints(AccountDraft, include_extras=True)
    return {
        name: (types[name] | None, Field(default=None, repr=field.repr))
        for name, field in AccountDraft.model_fields.items()
        if name not in FIXED_FIELDS
    }


_ChangeFields: Any = create_model("ChangeFields", __base__=AccountForm, **_change_fields())


class AccountChange(_ChangeFields):
    """The fields that are given change; ``null`` clears a field that may be empty."""

    def given_fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}

    def applied_to(self, status: AccountStatus) -> AccountDraft:
        """The account after the change. Raises ``InvalidRequest`` that names the field."""
        before = AccountDraft.of_status(status).model_dump()
        return validate_document(AccountDraft, before | self.given_fields(), whole="account")


def _value_of(status: AccountStatus, name: str) -> Any:
    if name in EXTRA_FIELDS:
        default = AccountDraft.model_fields[name].get_default(call_default_factory=True)
        return status.extra.get(name, default)
    value = getattr(status.account if name in ACCOUNT_FIELDS else status, name)
    return dict(value) if isinstance(value, Mapping) else value


def _quota_of(status: AccountStatus) -> QuotaDraft | None:
    quota = status.quota
    if quota is None:
        return None
    return QuotaDraft.model_construct(
        unit=quota.unit, limit=quota.limit, left=quota.left, period=quota.period
    )
