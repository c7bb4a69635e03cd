"""The rules of cooldowns: what each refusal of an upstream means for its account, and how cooldowns end.

A time that the vendor named, and a quota, are obeyed for an hour at most. All other cooldowns are estimated: they grow with
every refusal in a row. Where every candidate of a model cools down, an estimated cooldown may be tested after
``MIN_PROBE_SECONDS`` by one request at a time, any other after ``LONG_PROBE_SECONDS``: no single answer closes an account for
longer. A cooldown after failures also ends by one testing request (a trial), not by many.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from app.accounts.rows import cooldown_of_row, reason_text
from app.accounts.status import TRIAL_SECONDS, WHOLE_ACCOUNT, AccountStatus, Cooldown, CooldownCode
from app.db.connection import AsyncConnection
from app.db.session import dialect_insert
from app.db.tables import cooldowns
from app.errors import (
    OutcomeUnknown,
    RequestBlocked,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelForbidden,
    UpstreamQuotaExhausted,
    UpstreamUnreachable,
)

RETRY_AFTER_BOUNDS = (1.0, 3600.0)
"""A pause that the vendor named is limited to these, in seconds; so is one until a quota is filled again."""
QUOTA_SECONDS = 3600.0
"""Where it is unknown when an empty account is refilled."""
FORBIDDEN_SECONDS = 3600.0
"""For a model that an account may not use: it may be allowed later."""
MIN_PROBE_SECONDS = 5.0
LONG_PROBE_SECONDS = 600.0
FAILURES_IN_ROW = 3
STRIKES_KEPT_SECONDS = 600.0
"""A refusal this long after the last cooldown starts counting again."""


@dataclass(frozen=True, slots=True)
class ExponentialBackoff:
    """Seconds of the first cooldown, doubled with each strike, up to the longest."""

    first: float
    longest: float

    def seconds_after(self, strikes: int) -> float:
        return min(self.first * 2.0 ** min(strikes - 1, 30), self.longest)


BUSY = ExponentialBackoff(1.0, 60.0)
FAILING = ExponentialBackoff(30.0, 1800.0)
BLOCKED = ExponentialBackoff(5.0, 300.0)
UNREACHABLE = ExponentialBackoff(2.0, 300.0)


def cooldowns_after(
    error: UpstreamError, status: AccountStatus, model: str, *, before: Mapping[str, Cooldown], now: float
) -> dict[str, Cooldown]:
    """The cooldowns that a refusal starts, by upstream model (``*``: the whole account); empty when it starts none.

    ``before``: the account's cooldowns so far, and strikes that started none yet (their ``until`` is their ``since``).
    """
    if isinstance(error, UpstreamQuotaExhausted):
        return {WHOLE_ACCOUNT: _quota_cooldown(error, status, now)}
    if isinstance(error, UpstreamBusy) and error.retry_after is not None:
        seconds = _clamp_seconds(error.retry_after)
        strikes = _count_strikes(before.get(model), ("rate_limited", "busy"), now)
        return {model: Cooldown(error.message, now, now + seconds, strikes, code="rate_limited")}
    if isinstance(error, UpstreamBusy):
        return {model: _estimated_cooldown(error, before.get(model), "busy", now=now)}
    if isinstance(error, UpstreamFailed | OutcomeUnknown):
        return {model: _estimated_cooldown(error, before.get(model), "failing", now=now)}
    if isinstance(error, RequestBlocked):
        return {model: _estimated_cooldown(error, before.get(model), "blocked", now=now)}
    if isinstance(error, UpstreamModelForbidden):
        # Without a model map, clients choose the names: each name would get a cooldown of its own.
        named = model in status.account.models.values()
        cooldown = Cooldown(error.message, now, now + FORBIDDEN_SECONDS, code="forbidden")
        return {model: cooldown} if named else {}
    if isinstance(error, UpstreamUnreachable):
        return {WHOLE_ACCOUNT: _estimated_cooldown(error, before.get(WHOLE_ACCOUNT), "unreachable", now=now)}
    return {}


def _quota_cooldown(error: UpstreamError, status: AccountStatus, now: float) -> Cooldown:
    quota = status.quota
    resets_at = quota.resets_at if quota and quota.resets_at and quota.resets_at > now else None
    named = now + _clamp_seconds(error.retry_after) if error.retry_after is not None else None
    until = min(resets_at or named or now + QUOTA_SECONDS, now + RETRY_AFTER_BOUNDS[1])
    return Cooldown(error.message, now, until, code="quota_exhausted")


def _clamp_seconds(seconds: float) -> float:
    first, longest = RETRY_AFTER_BOUNDS
    return min(max(seconds, first), longest) if math.isfinite(seconds) else longest


def _estimated_cooldown(
    error: UpstreamError, before: Cooldown | None, code: CooldownCode, *, now: float
) -> Cooldown:
    same: tuple[CooldownCode, ...] = ("rate_limited", "busy") if code == "busy" else (code,)
    strikes = _count_strikes(before, same, now)
    if code in ("failing", "blocked") and strikes < FAILURES_IN_ROW:
        return Cooldown(error.message, now, now, strikes, code=code)
    if code == "busy":
        return Cooldown(error.message, now, now + BUSY.seconds_after(strikes), strikes, code=code)
    if code == "unreachable":
        seconds = UNREACHABLE.seconds_after(strikes)
    else:
        backoff = FAILING if code == "failing" else BLOCKED
        seconds = backoff.seconds_after(strikes - FAILURES_IN_ROW + 1)
    return Cooldown(error.message, now, now + seconds, strikes, trial_at=0.0, code=code)


def _count_strikes(before: Cooldown | None, same: tuple[CooldownCode, ...], now: float) -> int:
    if before is None or before.code not in same or now >= before.ends_at + STRIKES_KEPT_SECONDS:
        return 1
    # Requests that were under way when the cooldown started are refused for the same reason: no further strike.
    return before.strikes if before.until > now and not before.trial_at else before.strikes + 1


def may_probe(cooldown: Cooldown | None, now: float, *, last: bool) -> bool:
    """Whether one request may test a cooldown, because every candidate cools down (``last``)."""
    if cooldown is None or cooldown.is_on_trial(now):
        return cooldown is None
    if cooldown.code == "cooling":
        return False
    wait = MIN_PROBE_SECONDS if cooldown.is_estimated else LONG_PROBE_SECONDS
    return last and now >= cooldown.since + wait


async def save_cooldown(
    connection: AsyncConnection, account_id: str, model: str, *, cooldown: Cooldown
) -> Cooldown:
    """Store a cooldown unless one there ends later. Returns the one that holds."""
    same = cooldowns.c.account_id == account_id, cooldowns.c.model == model
    row = (await connection.execute(sa.select(cooldowns).where(*same).with_for_update())).first()
    if row is not None and row.until > cooldown.until:
        holds = cooldown_of_row(row)
        if holds.trial_at:  # the testing request has come back; the next may be sent after a moment
            holds = replace(holds, since=cooldown.since, trial_at=0.0)
            returned = sa.update(cooldowns).where(*same).values(since=holds.since, trial_at=0.0)
            await connection.execute(returned)
        return holds
    values = {
        "reason": reason_text(cooldown.code, cooldown.reason),
        "since": cooldown.since,
        "until": cooldown.until,
        "strikes": cooldown.strikes,
        "trial_at": cooldown.trial_at,
        "key_id": cooldown.key_id,
    }
    key = {"account_id": account_id, "model": model}
    written = dialect_insert(connection, cooldowns).values(**key, **values)
    await connection.execute(
        written.on_conflict_do_update(index_elements=["account_id", "model"], set_=values)
    )
    return cooldown


async def delete_cooldowns(connection: AsyncConnection, account_id: str, models: list[str] | None) -> None:
    """Delete the cooldowns of some upstream models, or (None) all."""
    gone = sa.delete(cooldowns).where(cooldowns.c.account_id == account_id)
    await connection.execute(gone if models is None else gone.where(cooldowns.c.model.in_(models)))


async def delete_disproved(
    connection: AsyncConnection, account_id: str, model: str, *, now: float
) -> list[str]:
    """Delete the cooldowns of an account that an answer for ``model`` disproves; returns their models.

    The database decides, because another process may have sent the testing request.
    """
    mine = cooldowns.c.account_id == account_id, cooldowns.c.model.in_([WHOLE_ACCOUNT, model])
    over = sa.or_(cooldowns.c.until <= now, cooldowns.c.trial_at > 0)
    gone = sa.delete(cooldowns).where(*mine, over).returning(cooldowns.c.model)
    return list((await connection.execute(gone)).scalars())


async def running_trials(
    connection: AsyncConnection, account_ids: Iterable[str], now: float
) -> set[tuple[str, str]]:
    """Account ids and upstream models that a request is testing now, whichever process sent it."""
    out = cooldowns.c.account_id.in_(list(account_ids)), cooldowns.c.trial_at > now - TRIAL_SECONDS
    query = sa.select(cooldowns.c.account_id, cooldowns.c.model).where(*out)
    return {(row.account_id, row.model) for row in await connection.execute(query)}


async def record_trial(connection: AsyncConnection, account_id: str, model: str, *, now: float) -> None:
    """Record that a request tests from now on whether the cooldown is over."""
    same = cooldowns.c.account_id == account_id, cooldowns.c.model.in_([WHOLE_ACCOUNT, model])
    await connection.execute(sa.update(cooldowns).where(*same).values(trial_at=now))
