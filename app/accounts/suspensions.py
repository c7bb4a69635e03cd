"""Rows about disabled accounts: who disabled each, and when it is looked at again.

A look never touches what the operator disabled. Crash points: a suspension and the flag on its account are one
transaction. A look that is due is claimed before it is made, so a process that dies in it costs one pause.
"""

from typing import Any

import sqlalchemy as sa

from app.accounts.rows import plain_reason
from app.accounts.status import Cooldown, SuspendedBy, Suspension
from app.db.changes import announce_change
from app.db.connection import AsyncConnection
from app.db.operator_tables import suspensions
from app.db.session import dialect_insert
from app.db.tables import accounts

FIRST_PAUSE_SECONDS = 300.0
LONGEST_PAUSE_SECONDS = 6 * 3600.0
FORGET_SECONDS = 2 * LONGEST_PAUSE_SECONDS
"""A refusal this long after the last suspension starts counting again."""


def pause_after(looks: int) -> float:
    """Seconds until the next look, after so many in vain: 5 minutes, doubled each time, up to 6 hours."""
    return min(FIRST_PAUSE_SECONDS * 2.0 ** min(looks, 30), LONGEST_PAUSE_SECONDS)


def suspension_of_row(row: Any) -> Suspension:
    return Suspension(row.by, row.since, row.next_look_at, row.looks, row.key_id)


async def read_all(connection: AsyncConnection) -> dict[str, Suspension]:
    """By account id."""
    rows = await connection.execute(sa.select(suspensions))
    return {row.account_id: suspension_of_row(row) for row in rows}


async def write_operators(
    connection: AsyncConnection, account_id: str, *, enabled: bool, reason: str | None, now: float
) -> None:
    """The operator enabled or disabled an account: that replaces whatever was decided before."""
    plain = plain_reason(reason) if reason and not enabled else None
    changed = sa.update(accounts).where(accounts.c.id == account_id)
    await connection.execute(changed.values(enabled=enabled, disabled_reason=plain))
    await note_operators(connection, account_id, enabled=enabled, now=now)
    await announce_change(connection, "accounts")


async def note_operators(connection: AsyncConnection, account_id: str, *, enabled: bool, now: float) -> None:
    """``write_operators`` for a caller that writes the account's row itself."""
    await connection.execute(sa.delete(suspensions).where(suspensions.c.account_id == account_id))
    if not enabled:
        row = {"account_id": account_id, "by": "operator", "since": now}
        await connection.execute(sa.insert(suspensions), row)


async def suspend(
    connection: AsyncConnection, account_id: str, by: SuspendedBy, *, reason: str, key_id: str, now: float
) -> Suspension | None:
    """Disable an account for a refusal; None when it is disabled or removed already."""
    same = accounts.c.id == account_id, accounts.c.enabled
    off = sa.update(accounts).where(*same).values(enabled=False, disabled_reason=plain_reason(reason))
    if not (await connection.execute(off)).rowcount:
        return None
    mine = suspensions.c.account_id == account_id
    before = (await connection.execute(sa.select(suspensions).where(mine))).first()
    again = before is not None and before.by != "operator" and before.since > now - FORGET_SECONDS
    looks = before.looks + 1 if before is not None and again else 0
    made = Suspension(by, now, now + pause_after(looks), looks, key_id)
    values = {"by": by, "since": now, "next_look_at": made.next_look_at, "looks": looks, "key_id": key_id}
    written = dialect_insert(connection, suspensions).values(account_id=account_id, **values)
    await connection.execute(written.on_conflict_do_update(index_elements=["account_id"], set_=values))
    await announce_change(connection, "accounts")
    return made


async def claim_look(connection: AsyncConnection, account_id: str, found: Suspension, *, now: float) -> bool:
    """Take the look that is due, for this process alone; the next one is due after a longer pause."""
    same = (
        suspensions.c.account_id == account_id,
        suspensions.c.since == found.since,
        suspensions.c.looks == found.looks,
        suspensions.c.by != "operator",
    )
    values = {"looks": found.looks + 1, "next_look_at": now + pause_after(found.looks + 1)}
    return bool((await connection.execute(sa.update(suspensions).where(*same).values(**values))).rowcount)


async def look_soon(connection: AsyncConnection, account_id: str, *, now: float) -> None:
    """The account has another secret: the next look need not wait."""
    same = suspensions.c.account_id == account_id, suspensions.c.by != "operator"
    await connection.execute(sa.update(suspensions).where(*same).values(next_look_at=now))


async def end_suspension(connection: AsyncConnection, account_id: str, *, keep_count: bool) -> bool:
    """Enable an account that a refusal had disabled; False when the operator has decided meanwhile. ``keep_count``:
    it is only tested, and another refusal makes the pause longer."""
    mine = suspensions.c.account_id == account_id, suspensions.c.by != "operator"
    kept = sa.update(suspensions).where(*mine).values(next_look_at=None)
    ended = await connection.execute(kept if keep_count else sa.delete(suspensions).where(*mine))
    if not ended.rowcount:
        return False
    on = sa.update(accounts).where(accounts.c.id == account_id).values(enabled=True, disabled_reason=None)
    await announce_change(connection, "accounts")
    return bool((await connection.execute(on)).rowcount)


def trial_cooldown(reason: str, found: Suspension, now: float) -> Cooldown:
    """Lets one request test an account whose key nothing free can be tried with."""
    return Cooldown(reason, now, now, found.looks + 1, trial_at=0.0, code="refused", key_id=found.key_id)
