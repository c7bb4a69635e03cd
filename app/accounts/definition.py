"""An account as the operator writes it, checked; and what of it may be changed later."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.accounts.status import AccountStatus, Period, QuotaUnit
from app.generation import Kind
from app.validation import validate_document

MOST_SLOTS = 100_000


def _read_moment(value: Any) -> Any:
    """ISO 8601 as UTC seconds; a time without a zone is UTC, whatever this machine's zone is."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return value  # pydantic then says what it wants
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
        raise ValueError("must hold no NUL")  # PostgreSQL keeps none in a text
    return value


Text = Annotated[str, AfterValidator(_refuse_nul)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
Address = Annotated[Text, Field(max_length=2000)]
Plan = Annotated[Text, Field(max_length=64)]
Note = Annotated[Text, Field(max_length=10_000)]
Secret = Annotated[Text, Field(max_length=20_000)]
Slots = Annotated[int, Field(ge=0, le=MOST_SLOTS)]
Weight = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Tier = Annotated[int, Field(ge=-1000, le=1000)]
Rate = Annotated[int, Field(ge=1, le=1_000_000)]
Moment = Annotated[float, BeforeValidator(_read_moment), Field(ge=0, le=1e11, allow_inf_nan=False)]
Proxy = Annotated[Annotated[str, Field(max_length=2000)] | None, AfterValidator(_check_proxy)]
Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000_000, allow_inf_nan=False)]


class AccountForm(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class QuotaDraft(AccountForm):
    """``left`` is ``limit`` unless it is said; a period resets at midnight UTC (of the first, for a month)."""

    unit: QuotaUnit = "count"
    limit: Dollars
    left: Dollars | None = None
    period: Period = "none"


class AccountDraft(AccountForm):
    """Everything about a new account; only ``provider`` and ``name`` must be given."""

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
    rpm: Rate | None = None
    quota: QuotaDraft | None = None
    expires_at: Moment | None = None
    proxy: Proxy = Field(default=None, repr=False)
    enabled: bool = True

    @classmethod
    def of_status(cls, standing: AccountStatus) -> "AccountDraft":
        """What would make this account again, its secret and its proxy's password included."""
        account, quota = standing.account, None
        if standing.quota is not None:
            quota = QuotaDraft.model_construct(
                unit=standing.quota.unit,
                limit=standing.quota.limit,
                left=standing.quota.left,
                period=standing.quota.period,
            )
        return cls.model_construct(
            provider=account.provider,
            name=account.name,
            base_url=account.base_url,
            secret=account.secret,
            models=dict(account.models),
            kinds=account.kinds,
            slots=account.slots,
            limits=dict(account.limits),
            options=dict(account.options),
            tags=account.tags,
            plan=account.plan,
            note=standing.note,
            weight=account.weight,
            tier=account.tier,
            rpm=account.rpm,
            quota=quota,
            expires_at=account.expires_at,
            proxy=account.proxy,
            enabled=standing.enabled,
        )


class AccountChange(AccountForm):
    """Only what is given changes; ``null`` takes away where there may be nothing. The provider stays, and the
    secret has its own way (``AccountRepository.rotate_secret``)."""

    name: Name | None = None
    base_url: Address | None = None
    models: dict[Text, Text] | None = None
    kinds: frozenset[Kind] | None = None
    slots: Slots | None = None
    limits: dict[Kind, Slots] | None = None
    options: dict[Text, Any] | None = None
    tags: frozenset[Text] | None = None
    plan: Plan | None = None
    note: Note | None = None
    weight: Weight | None = None
    tier: Tier | None = None
    rpm: Rate | None = None
    quota: QuotaDraft | None = None
    expires_at: Moment | None = None
    proxy: Proxy = Field(default=None, repr=False)
    enabled: bool | None = None

    def applied_to(self, standing: AccountStatus) -> AccountDraft:
        """The account as it will be. Raises ``InvalidRequest`` that names the field."""
        before = AccountDraft.of_status(standing).model_dump()
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return validate_document(AccountDraft, {**before, **given}, whole="account")
