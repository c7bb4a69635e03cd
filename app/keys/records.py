"""The stored hashes of client keys: in backups, and replaced after a change of the root key.

After a change of the root key the hash of a key is replaced when its secret is next used.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from app import clock
from app.db.connection import AsyncConnection
from app.db.tables import keys
from app.keys.key import KeyTerms, read_terms, terms_of_row
from app.validation import validate_document
from app.vault import Vault

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

PURPOSE = "client-key-hash"
HASH_COLUMNS = (("hash", "root"), ("old_hash", "old_root"))
"""Each hash, with the fingerprint of the root key that made it."""


class KeyRecord(BaseModel):
    """``id`` is the public part of the key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,16}$")
    hash: Hash
    created_at: float = Field(ge=0, le=1e11, allow_inf_nan=False)
    old_hash: Hash | None = None
    old_until: float | None = Field(default=None, allow_inf_nan=False)
    secret_given: bool = False
    terms: dict[str, Any]

    def read_terms(self) -> KeyTerms:
        """Raises ``InvalidRequest``."""
        return read_terms(self.terms)


def read_record(document: Any) -> KeyRecord:
    """Raises ``InvalidRequest`` that names the field."""
    return validate_document(KeyRecord, document, whole="key")


async def read_all(connection: AsyncConnection) -> list[KeyRecord]:
    """Every key, oldest first."""
    rows = await connection.execute(sa.select(keys).order_by(keys.c.created_at))
    return [_record_of_row(row) for row in rows]


async def insert_record(connection: AsyncConnection, record: KeyRecord) -> None:
    """Insert the key as it was. Its secret works if the root key is the same."""
    kept = record.model_dump(exclude={"terms"})
    row = {**record.read_terms().as_columns(), **kept, "source": "store"}
    await connection.execute(sa.insert(keys), row)


def _record_of_row(row: Any) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        hash=row.hash,
        created_at=row.created_at,
        old_hash=row.old_hash,
        old_until=row.old_until,
        secret_given=row.secret_given,
        terms=KeyTerms.model_validate(terms_of_row(row)).model_dump(mode="json"),
    )


def stale_hashes(row: Any, hashes: Sequence[str], vault: Vault) -> dict[str, str]:
    """The columns to write so that the row has the hash under the current root key; empty when it has.

    ``hashes`` are those of the secret, under the current root key first.
    """
    if not vault.has_old_roots:
        return {}
    current = vault.root_fingerprint
    return {
        name: value
        for column, root in HASH_COLUMNS
        if getattr(row, column) in hashes and getattr(row, root) != current
        for name, value in ((column, hashes[0]), (root, current))
    }


async def write_hashes(connection: AsyncConnection, row: Any, moved: dict[str, str]) -> None:
    """Does nothing if the key's secret has been rotated since ``row`` was read."""
    same = [keys.c[column] == getattr(row, column) for column, _ in HASH_COLUMNS if column in moved]
    await connection.execute(sa.update(keys).where(keys.c.id == row.id, *same).values(**moved))


async def keys_of_old_root(connection: AsyncConnection, vault: Vault) -> list[str]:
    """The ids of the keys whose hash is under an old root key, oldest first."""
    current = vault.root_fingerprint
    overlapping = sa.and_(keys.c.old_until > clock.now(), keys.c.old_root.is_distinct_from(current))
    query = sa.select(keys.c.id).where(sa.or_(keys.c.root.is_distinct_from(current), overlapping))
    return list((await connection.execute(query.order_by(keys.c.created_at))).scalars())
