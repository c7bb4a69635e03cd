"""The keys that sign receipts of films: made once, sealed with the root key like every secret, published for ever.

They are a document of options, so all processes and replicas share them, and backups, restores, moves and changes of the
root key carry them. The newest key with a secret signs; keys without one are only published.
"""

import json
from typing import Any, ClassVar

import sqlalchemy as sa
from pydantic import Field, SecretStr
from sqlalchemy.exc import IntegrityError

from app import clock
from app.db.changes import announce_change
from app.db.connection import AsyncConnection
from app.db.operator_tables import options
from app.db.session import Database
from app.options import SEALED, DocumentSection, OptionsDocument, OptionsRepository, put_row
from app.signed_documents import (
    decode_base64,
    encode_base64,
    new_private_key,
    public_jwk,
    public_part,
    thumbprint,
)

MOST_KEYS = 1000


class SigningKey(DocumentSection):
    """``name``: its thumbprint; ``public`` and ``secret``: 32 bytes as base64."""

    name: str
    public: str
    made_at: float
    secret: SecretStr = SecretStr("")

    @property
    def private(self) -> bytes:
        return decode_base64(self.secret.get_secret_value())


class ReceiptKeys(OptionsDocument):
    """In the order in which they were made."""

    document: ClassVar[str] = "receipt_keys"
    keys: tuple[SigningKey, ...] = Field(default=(), max_length=MOST_KEYS)

    @property
    def current(self) -> SigningKey | None:
        return next((key for key in reversed(self.keys) if key.secret.get_secret_value()), None)


def joined_keys(stored: ReceiptKeys, restored: ReceiptKeys) -> list[dict[str, Any]]:
    """The keys of a backup, and before them those that only this store has: receipts of either stay valid."""
    names = {key.name for key in restored.keys}
    joined = [*(key for key in stored.keys if key.name not in names), *restored.keys]
    return [{**key.model_dump(), "secret": key.secret.get_secret_value()} for key in joined]


class ReceiptKeyRing:
    """Reads the keys, and makes the first one when the first receipt is asked for."""

    def __init__(self, database: Database, documents: OptionsRepository) -> None:
        self._database = database
        self._documents = documents

    async def current(self) -> SigningKey:
        """The key that signs. Raises ``SettingsInvalid`` when it was sealed with a root key that is lost."""
        key = (await self._documents.read(ReceiptKeys)).current
        return key or await self._add(wanted_once=True)

    async def published(self) -> dict[str, Any]:
        """All keys as JWK, newest first. The root key is not needed."""
        async with self._database.read() as connection:
            stored = await _stored_keys(connection)
        return {"keys": [public_jwk(decode_base64(key["public"])) for key in reversed(stored or [])]}

    async def rotate(self) -> str:
        """Make a new key that signs from now on; its name. The old ones stay published, also those whose secret can't be
        opened any more."""
        return (await self._add(wanted_once=False)).name

    async def _add(self, *, wanted_once: bool) -> SigningKey:
        """A new key; with ``wanted_once`` the present one if another process was faster."""
        try:
            made = await self._try_add(wanted_once)
        except (
            IntegrityError
        ):  # another process has made the first key at the same moment: now there is a row to lock
            made = await self._try_add(wanted_once)
        self._documents.forget()
        return made

    async def _try_add(self, wanted_once: bool) -> SigningKey:
        async with self._database.write() as connection:
            stored = await _stored_keys(connection, locked=True)
            if wanted_once and (known := await self._documents.read_within(connection, ReceiptKeys)).current:
                return known.current
            private = new_private_key()
            public = public_part(private)
            row = {"name": thumbprint(public), "public": encode_base64(public), "made_at": clock.now()}
            sealed = {SEALED: self._documents.seal(ReceiptKeys, encode_base64(private))}
            text = json.dumps({"keys": [*(stored or ()), row | {"secret": sealed}]})
            if stored is None:  # not over a row that was inserted meanwhile
                new = {"name": ReceiptKeys.document, "value": text, "updated_at": clock.now()}
                await connection.execute(sa.insert(options), new)
            else:
                await put_row(connection, ReceiptKeys.document, text)
            await announce_change(connection, "options")
        return SigningKey.model_validate(row | {"secret": encode_base64(private)})


async def _stored_keys(connection: AsyncConnection, *, locked: bool = False) -> list[dict[str, Any]] | None:
    """As they are stored, with their secrets sealed; None where there is no row. ``locked``: until the transaction ends
    nobody else adds one."""
    query = sa.select(options.c.value).where(options.c.name == ReceiptKeys.document)
    query = query.with_for_update() if locked else query
    text = (await connection.execute(query)).scalar()
    return None if text is None else list(json.loads(text)["keys"])
