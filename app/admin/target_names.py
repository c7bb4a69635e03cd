"""The names of what rows of the panel name by id: whose a row is, and what a change was about."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from app.db.connection import AsyncConnection
from app.db.operator_tables import admins, drafts, projects
from app.db.session import Database
from app.db.tables import accounts, characters, keys, tasks, webhook_deliveries, webhook_endpoints

KEY_OWNER, PROJECT_OWNER = "key:", "project:"
NAMED: Mapping[str, sa.Table] = {
    "accounts": accounts,
    "admins": admins,
    "characters": characters,
    "drafts": drafts,
    "keys": keys,
    "projects": projects,
    "webhook_endpoints": webhook_endpoints,
}
"""Tables whose rows have a name, by the first part of a target like ``accounts/a1b2``."""
NAMELESS: Mapping[str, sa.Table] = {"tasks": tasks, "webhook_deliveries": webhook_deliveries}


async def owner_names(database: Database, owners: Iterable[str]) -> dict[str, str]:
    """Of owners like ``key:a1b2`` and ``project:films``; those of keys that are gone are left out."""
    wanted = set(owners)
    ids = {owner.removeprefix(KEY_OWNER) for owner in wanted if owner.startswith(KEY_OWNER)}
    async with database.read() as connection:
        known = await _read_names(connection, keys, ids)
    named = {f"{KEY_OWNER}{key_id}": name for key_id, name in known.items()}
    teams = {owner for owner in wanted if owner.startswith(PROJECT_OWNER)}
    return named | {owner: owner.removeprefix(PROJECT_OWNER) for owner in teams}


async def target_names(database: Database, targets: Iterable[str]) -> dict[str, str | None]:
    """The names of those targets that still exist; None for what has no name of its own, like a task."""
    by_kind: dict[str, set[str]] = defaultdict(set)
    for target in targets:
        kind, _, key = target.partition("/")
        by_kind[kind].add(key)
    found: dict[str, str | None] = {}
    async with database.read() as connection:
        for kind, ids in by_kind.items():
            if kind in NAMED:
                names = await _read_names(connection, NAMED[kind], ids)
                found |= {f"{kind}/{key}": name for key, name in names.items()}
            elif kind in NAMELESS:
                table = NAMELESS[kind]
                rows = await connection.execute(sa.select(table.c.id).where(table.c.id.in_(ids)))
                found |= {f"{kind}/{row.id}": None for row in rows}
    return found


async def _read_names(connection: AsyncConnection, table: sa.Table, ids: Collection[Any]) -> dict[str, str]:
    if not ids:
        return {}
    rows = await connection.execute(sa.select(table.c.id, table.c.name).where(table.c.id.in_(ids)))
    return {row.id: row.name for row in rows}
