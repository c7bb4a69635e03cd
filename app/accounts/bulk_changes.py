"""One change of many accounts: read once, checked one by one, written in one transaction.

A process that dies has changed all of them or none. An account that can't be changed says why, and does not stop the
others.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict

from app import clock
from app.accounts import cooldown_rules, suspensions
from app.accounts.definition import AccountChange, AccountDraft
from app.accounts.pool import AccountPool
from app.accounts.removal import move_out
from app.accounts.repository import AccountRepository
from app.accounts.rows import column_values, columns_of_fields
from app.accounts.status import AccountStatus
from app.db.changes import announce_change
from app.db.connection import AsyncConnection
from app.db.tables import accounts, slots
from app.errors import FilmgateError, InvalidRequest, NotFound

BulkAction = Literal["enable", "disable", "drain", "clear", "delete", "edit"]
ENABLED: Mapping[str, tuple[bool, str | None]] = {
    "enable": (True, None),
    "disable": (False, "by the operator"),
    "drain": (False, "draining"),
}
"""What these actions make of an account, with the reason."""


class BulkEdit(BaseModel):
    """What changes on each account: ``change`` sets fields, the others add to what an account has, or take away."""

    model_config = ConfigDict(extra="forbid")

    change: AccountChange = AccountChange()
    add_tags: frozenset[str] = frozenset()
    remove_tags: frozenset[str] = frozenset()
    add_models: dict[str, str] = {}
    remove_models: frozenset[str] = frozenset()

    def for_account(self, status: AccountStatus) -> AccountChange:
        """The fields as this one account gets them. Raises ``InvalidRequest``."""
        given = self.change.given_fields()
        if single := given.keys() & {"name", "enabled"}:
            raise InvalidRequest("This can't be changed for several accounts here.", param=min(single))
        tags = given["tags"] if given.get("tags") is not None else status.account.tags
        models = given["models"] if given.get("models") is not None else status.account.models
        tags = (frozenset(tags) - self.remove_tags) | self.add_tags
        models = {ours: theirs for ours, theirs in models.items() if ours not in self.remove_models}
        models |= self.add_models
        if self.add_tags or self.remove_tags:
            given["tags"] = tags
        if self.add_models or self.remove_models:
            given["models"] = models
        return AccountChange.model_construct(set(given), **given)


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What comes of it for one account; ``problem`` says why nothing. ``change`` are the fields that are set."""

    account_id: str
    before: AccountStatus | None = None
    problem: FilmgateError | None = None
    change: AccountChange | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        return self.problem is None


Recorder = Callable[[AsyncConnection, Sequence[BulkOutcome]], Awaitable[None]]
"""Writes what was done, in the transaction that does it."""


async def change_many(
    pool: AccountPool,
    ids: Sequence[str],
    action: BulkAction,
    *,
    record: Recorder,
    edit: BulkEdit | None = None,
) -> list[BulkOutcome]:
    """One outcome for each id, in their order."""
    known = {status.account.id: status for status in await AccountRepository(pool).list_all()}
    busy = await _busy_counts(pool) if action == "delete" else {}
    asked = BulkRequest(action, edit, busy)
    outcomes = [await _planned(pool, which, known.get(which), asked=asked) for which in ids]
    good = [outcome for outcome in outcomes if outcome.ok]
    async with pool.database.write() as connection:
        await _write_changes(pool, connection, good, action=action)
        await record(connection, good)
        await announce_change(connection, "accounts")
    for outcome in good:
        if action in ("enable", "clear"):
            pool.refusals.forget_account(outcome.account_id)
        if pool.is_embedded(outcome.account_id) and action in ENABLED:
            enabled, reason = ENABLED[action]
            await pool.set_enabled(outcome.account_id, enabled=enabled, reason=reason)
    await pool.refresh()
    return outcomes


@dataclass(frozen=True, slots=True)
class BulkRequest:
    action: BulkAction
    edit: BulkEdit | None
    busy: Mapping[str, int]
    """Tasks that run, by account."""


async def _planned(
    pool: AccountPool, which: str, status: AccountStatus | None, *, asked: BulkRequest
) -> BulkOutcome:
    if status is None:
        return BulkOutcome(which, problem=NotFound(f"There is no account {which}."))
    try:
        if asked.action in ("delete", "edit"):
            check_writable(pool, status)
        if running := asked.busy.get(which):
            raise InvalidRequest(
                f"{running} tasks still run on it: drain it first.", param="force", reason="still_busy"
            )
        change = await _checked_edit(pool, status, asked.edit) if asked.action == "edit" else None
    except FilmgateError as error:
        return BulkOutcome(which, status, error)
    return BulkOutcome(which, status, change=change)


def check_writable(pool: AccountPool, status: AccountStatus) -> None:
    """Raises ``InvalidRequest`` for what only a setting or the configuration file may change."""
    if pool.is_embedded(status.account.id):
        raise InvalidRequest(
            "The studio is built in: FILMGATE_STUDIO turns it on and off.", reason="built_in"
        )
    if status.source == "file":
        raise InvalidRequest(
            f"{status.account.name} is declared in the configuration file: change it there.",
            reason="declared_in_file",
        )


async def _checked_edit(pool: AccountPool, status: AccountStatus, edit: BulkEdit | None) -> AccountChange:
    change = (edit or BulkEdit()).for_account(status)
    await pool.check_account(change.applied_to(status).as_account(status.account.id))
    return change


async def _busy_counts(pool: AccountPool) -> dict[str, int]:
    query = sa.select(slots.c.account_id, sa.func.count()).group_by(slots.c.account_id)
    async with pool.database.read() as connection:
        return {row[0]: int(row[1]) for row in await connection.execute(query)}


async def _write_changes(
    pool: AccountPool, connection: AsyncConnection, outcomes: Sequence[BulkOutcome], *, action: BulkAction
) -> None:
    now = clock.now()
    if action == "delete":
        await move_out(connection, [outcome.account_id for outcome in outcomes], now=now)
        return
    for outcome in outcomes:
        account_id = outcome.account_id
        if action in ("enable", "clear"):
            await cooldown_rules.delete_cooldowns(connection, account_id, None)
        if action in ENABLED and not pool.is_embedded(account_id):
            enabled, reason = ENABLED[action]
            await suspensions.write_operators(connection, account_id, enabled=enabled, reason=reason, now=now)
        if outcome.change is not None and outcome.before is not None:
            await _write_edit(pool, connection, outcome.before, change=outcome.change)


async def _write_edit(
    pool: AccountPool, connection: AsyncConnection, status: AccountStatus, *, change: AccountChange
) -> None:
    draft: AccountDraft = change.applied_to(status)
    values = column_values(draft, status.account.id, pool.vault)
    columns = columns_of_fields(change.model_fields_set) - {"enabled", "disabled_reason"}
    written = {name: values[name] for name in columns & values.keys()}
    if written:
        mine = accounts.c.id == status.account.id
        await connection.execute(sa.update(accounts).where(mine).values(**written))
