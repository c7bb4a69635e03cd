"""An account as the panel's API returns it: its definition without secrets, its state, and its record."""

import time
from collections import Counter
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import create_model

from app.accounts.definition import AccountDraft, field_shape
from app.accounts.rows import SEALED_PLACES
from app.accounts.status import WHOLE_ACCOUNT, AccountStatus, BlockCode, CooldownCode, SuspendedBy
from app.admin.bodies import PanelAnswer
from app.admin.masking import mask_secrets, secret_hint
from app.admin.panel import PanelServices
from app.admin.task_object import plain_amount
from app.db.session import Database
from app.db.tables import slots
from app.errors import InvalidRequest
from app.providers.base import Account


class QuotaObject(PanelAnswer):
    """``left`` of ``limit``, in tasks (`count`) or US dollars (`usd`)."""

    unit: str
    limit: str | None
    left: str | None
    period: str
    resets_at: float | None


ReasonCode = CooldownCode | SuspendedBy | BlockCode | Literal["draining", "broken"]


class CooldownObject(PanelAnswer):
    """Why the account, or one upstream model on it, gets no work until ``until``; ``model`` is `*` for all."""

    model: str
    code: str
    reason: str
    since: float
    until: float
    strikes: int


class OutcomeObject(PanelAnswer):
    """One of the last tasks: ``word`` is `completed` or an error code."""

    ok: bool
    word: str


def _settable_types() -> dict[str, Any]:
    """The fields of the definition as the API returns them: sorted lists, and of a secret only its last characters."""
    types: dict[str, Any] = {}
    for name, field in AccountDraft.model_fields.items():
        shape = field_shape(name)
        if name in SEALED_PLACES:
            types[f"{name}_hint"] = (str, ...)
        elif shape == "quota":
            types[name] = (QuotaObject | None, ...)
        else:
            types[name] = (list[str] if shape == "words" else field.annotation, ...)
    return types


_SettableFields: Any = create_model("SettableFields", __base__=PanelAnswer, **_settable_types())


class AccountObject(_SettableFields):
    """``state`` is `ready`, `busy`, `paused`, `cooling`, `exhausted`, `expired`, `disabled`, `draining` or `broken`, with its
    ``reason`` and, if it ends by itself, ``until``. ``serves`` are kinds of results; ``outcomes`` newest last;
    ``tested_at``: when its vendor last accepted its key in a test."""

    id: str
    embedded: bool
    source: str
    read_only: bool
    serves: list[str]
    created_at: float | None
    tested_at: float | None
    state: str
    reason: str | None
    reason_code: ReasonCode | None
    until: float | None
    cooldowns: list[CooldownObject]
    in_flight: int
    successes: int
    failures: int
    success_rate: float | None
    average_seconds: float | None
    outcomes: list[OutcomeObject]


async def slots_in_use(database: Database) -> Counter[str]:
    """By account id."""
    query = sa.select(slots.c.account_id, sa.func.count()).group_by(slots.c.account_id)
    async with database.read() as connection:
        return Counter({row[0]: int(row[1]) for row in await connection.execute(query)})


async def account_objects(panel: PanelServices, statuses: list[AccountStatus]) -> list[AccountObject]:
    used, pauses = await slots_in_use(panel.database), panel.gateway.catalog.pauses
    await pauses.current()
    statuses = [pauses.marked(status) for status in statuses]
    return [_account_object(panel, status, in_flight=used[status.account.id]) for status in statuses]


def settable_fields(status: AccountStatus) -> dict[str, Any]:
    """What an operator may set, with its present values; for the audit log and the form."""
    draft = AccountDraft.of_status(status)
    values: dict[str, Any] = {}
    for name in AccountDraft.model_fields:
        value, shape = getattr(draft, name), field_shape(name)
        if name in SEALED_PLACES:
            values[f"{name}_hint"] = secret_hint(value or "")
        elif shape == "quota":
            values[name] = _quota_object(status)
        elif shape == "words":
            values[name] = sorted(value)
        else:
            values[name] = mask_secrets(value) if shape == "document" else value
    return values


def _account_object(panel: PanelServices, status: AccountStatus, *, in_flight: int) -> AccountObject:
    account, now = status.account, time.time()
    embedded = panel.pool.is_embedded(account.id)
    state, reason, until = state_of(status, in_flight, now=now)
    return AccountObject(
        **settable_fields(status),
        **_success_record(status),
        id=account.id,
        embedded=embedded,
        source="embedded" if embedded else status.source,
        read_only=embedded or status.source == "file",
        serves=_served_kinds(panel, account, problem=status.problem),
        created_at=status.created_at or None,
        tested_at=status.tested_at,
        state=state,
        reason=reason,
        reason_code=_reason_code(status, now),
        until=until,
        cooldowns=_cooldown_objects(status, now),
        in_flight=in_flight,
    )


def state_of(status: AccountStatus, in_flight: int, *, now: float) -> tuple[str, str | None, float | None]:
    """The state in one word, its reason, and when it ends, or is looked at again (UTC seconds)."""
    if status.problem:
        return "broken", status.problem, None
    blocked = status.blocked_by("*", now)
    if blocked is not None and blocked.code == "disabled":
        draining = status.disabled_reason == "draining"
        next_look = status.suspension.next_look_at if status.suspension else None
        return ("draining" if draining else "disabled"), status.disabled_reason, next_look
    if blocked is not None:
        word = "exhausted" if blocked.code == "quota_exhausted" else blocked.code
        return word, blocked.text, blocked.until
    return ("busy" if in_flight >= status.account.slots else "ready"), None, None


def _reason_code(status: AccountStatus, now: float) -> ReasonCode | None:
    """The reason of the state in one word."""
    if status.problem:
        return "broken"
    blocked = status.blocked_by("*", now)
    if blocked is None:
        return None
    if blocked.code == "disabled":
        if status.disabled_reason == "draining":
            return "draining"
        return status.suspension.by if status.suspension else "operator"
    cooldown = status.active_cooldowns(now).get(WHOLE_ACCOUNT)
    return cooldown.code if blocked.code == "cooling" and cooldown else blocked.code


def _cooldown_objects(status: AccountStatus, now: float) -> list[CooldownObject]:
    return [
        CooldownObject(
            model=model,
            code=cooldown.code,
            reason=cooldown.reason,
            since=cooldown.since,
            until=cooldown.until,
            strikes=cooldown.strikes,
        )
        for model, cooldown in status.active_cooldowns(now).items()
    ]


def _success_record(status: AccountStatus) -> dict[str, Any]:
    past = status.statistics
    tries = past.successes + past.failures
    return {
        "successes": past.successes,
        "failures": past.failures,
        "success_rate": round(past.successes / tries, 4) if tries else None,
        "average_seconds": past.average_seconds,
        "outcomes": [OutcomeObject(ok=word == "completed", word=word) for word in past.outcomes],
    }


def _quota_object(status: AccountStatus) -> QuotaObject | None:
    quota = status.quota
    if quota is None:
        return None
    return QuotaObject(
        unit=quota.unit,
        limit=plain_amount(quota.limit),
        left=plain_amount(quota.left_at(time.time())),
        period=quota.period,
        resets_at=quota.resets_at,
    )


def _served_kinds(panel: PanelServices, account: Account, *, problem: str | None) -> list[str]:
    if problem:
        return sorted(account.kinds)
    try:
        return sorted(panel.gateway.catalog.kinds_of(account))
    except InvalidRequest:
        return sorted(account.kinds)
