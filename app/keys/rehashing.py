"""After a change of the root key: the hash of a client key is replaced when its secret is next used."""

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.tables import keys
from app.vault import Vault

PURPOSE = "client-key-hash"
_COLUMNS = (("hash", "root"), ("old_hash", "old_root"))


def stale_hashes(row: Any, hashes: Sequence[str], vault: Vault) -> dict[str, str]:
    """The columns to write so that the row has the hash under the current root key; empty when it has.

    ``hashes`` are those of the secret, under the current root key first.
    """
    if not vault.has_old_roots:
        return {}
    current = vault.root_fingerprint
    return {
        name: value
        for column, root in _COLUMNS
        if getattr(row, column) in hashes and getattr(row, root) != current
        for name, value in ((column, hashes[0]), (root, current))
    }


async def write_hashes(connection: AsyncConnection, row: Any, moved: dict[str, str]) -> None:
    """Does nothing if the key's secret has been rotated since ``row`` was read."""
    same = [keys.c[column] == getattr(row, column) for column, _ in _COLUMNS if column in moved]
    await connection.execute(sa.update(keys).where(keys.c.id == row.id, *same).values(**moved))


async def keys_of_old_root(connection: AsyncConnection, vault: Vault) -> list[str]:
    """The ids of the keys whose hash is under an old root key, oldest first."""
    current = vault.root_fingerprint
    overlapping = sa.and_(keys.c.old_until > time.time(), keys.c.old_root.is_distinct_from(current))
    query = sa.select(keys.c.id).where(sa.or_(keys.c.root.is_distinct_from(current), overlapping))
    return list((await connection.execute(query.order_by(keys.c.created_at))).scalars())
