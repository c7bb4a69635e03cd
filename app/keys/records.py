"""Keys as a backup stores them: their terms, and the keyed hashes of their secrets."""

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.tables import keys
from app.keys.key import KeyTerms, read_terms, terms_of_row
from app.validation import validate_document

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class KeyRecord(BaseModel):
    """``id`` is the public part of the key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,16}$")
    hash: Hash
    created_at: float = Field(ge=0, le=1e11, allow_inf_nan=False)
    old_hash: Hash | None = None
    old_until: float | None = Field(default=None, allow_inf_nan=False)
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
        terms=KeyTerms.model_validate(terms_of_row(row)).model_dump(mode="json"),
    )
