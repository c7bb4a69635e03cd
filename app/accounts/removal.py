"""Deleted accounts, and the undoing of a deletion.

A deletion moves the rows of an account (its own, its cooldowns, its suspension) into one row of ``removed_accounts``, in
one transaction; undoing it moves them back in one. So an account is either here or there, whatever dies in between, and
nothing that reads accounts has to know of deleted ones. After ``KEPT_SECONDS`` the copy with its sealed secret is deleted.
"""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.accounts.pool import AccountPool, name_taken_error
from app.accounts.rows import SEALED_PLACES
from app.db.changes import announce_change
from app.db.connection import AsyncConnection
from app.db.operator_tables import removed_accounts, suspensions
from app.db.session import Database
from app.db.tables import Money, accounts, cooldowns
from app.errors import InvalidRequest, NotFound, SettingsInvalid

KEPT_SECONDS = 600.0
"""So long a deletion can be undone; the panel offers it for ten seconds."""
_PARTS = {
    "account": (accounts, accounts.c.id),
    "cooldowns": (cooldowns, cooldowns.c.account_id),
    "suspension": (suspensions, suspensions.c.account_id),
}


async def move_out(connection: AsyncConnection, account_ids: Sequence[str], *, now: float) -> None:
    """Delete these accounts, keeping their rows for ``put_back``."""
    await forget_removed(connection, now=now)
    for account_id in account_ids:
        rows = {
            part: [
                _plain_row(row)
                for row in await connection.execute(sa.select(table).where(owner == account_id))
            ]
            for part, (table, owner) in _PARTS.items()
        }
        if not rows["account"]:
            continue
        for table, owner in _PARTS.values():
            await connection.execute(sa.delete(table).where(owner == account_id))
        await connection.execute(
            sa.delete(removed_accounts).where(removed_accounts.c.account_id == account_id)
        )
        kept = {"account_id": account_id, "removed_at": now, "rows": json.dumps(rows)}
        await connection.execute(sa.insert(removed_accounts), kept)
    await announce_change(connection, "accounts")


async def put_back(pool: AccountPool, account_ids: Sequence[str]) -> list[str]:
    """Undo the deletion of these accounts, all or none; returns their names.

    Raises ``NotFound`` when one can't be undone any more, and ``InvalidRequest`` when a name is taken by now.
    """
    names: list[str] = []
    try:
        async with pool.database.write() as connection:
            for account_id in account_ids:
                names.append(await _put_back_one(pool, connection, account_id))
            await announce_change(connection, "accounts")
    except IntegrityError as error:
        raise name_taken_error(", ".join(names)) from error
    await pool.refresh()
    return names


async def forget_removed(connection: AsyncConnection, *, now: float) -> None:
    """Delete for good what can't be undone any more."""
    over = removed_accounts.c.removed_at < now - KEPT_SECONDS
    await connection.execute(sa.delete(removed_accounts).where(over))


async def forget_old_removals(database: Database, *, now: float) -> None:
    async with database.write() as connection:
        await forget_removed(connection, now=now)


async def _put_back_one(pool: AccountPool, connection: AsyncConnection, account_id: str) -> str:
    mine = removed_accounts.c.account_id == account_id
    text = (await connection.execute(sa.select(removed_accounts.c.rows).where(mine))).scalar()
    if text is None:
        raise NotFound(f"The deletion of {account_id} can't be undone any more.", reason="undo_over")
    rows = json.loads(text)
    [account] = rows["account"]
    _check_sealed(pool, account)
    for part, (table, _) in _PARTS.items():
        values = [_typed_row(table, row) for row in rows[part]]
        if values:
            await connection.execute(sa.insert(table), values)
    await connection.execute(sa.delete(removed_accounts).where(mine))
    return str(account["name"])


def _check_sealed(pool: AccountPool, row: dict[str, Any]) -> None:
    """The root key may have been replaced since: an account that can't be read must not come back."""
    for name, place in SEALED_PLACES.items():
        try:
            if row[name]:
                pool.vault.unseal(row[name], place=place(row["id"]))
        except SettingsInvalid as error:
            raise InvalidRequest(
                "The root key was replaced since the deletion: add the account again."
            ) from error


def _plain_row(row: Any) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in row._mapping.items()}


def _typed_row(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    """A column that a newer version dropped is left out; one that it added has its default."""
    known = {column.name: column for column in _columns_of(table) if column.name in row}
    return {
        name: Decimal(row[name]) if isinstance(column.type, Money) and row[name] is not None else row[name]
        for name, column in known.items()
    }


def _columns_of(table: sa.Table) -> Iterable[sa.Column[Any]]:
    return table.columns.values()
