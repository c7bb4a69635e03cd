"""Settings that the operator changes at runtime: typed documents in the database, with sealed secrets."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, TypeVar

import httpx2
import sqlalchemy as sa
import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from app import clock
from app.db.changes import announce_change
from app.db.connection import AsyncConnection
from app.db.operator_tables import options
from app.db.session import DATABASE_AWAY, Database
from app.errors import FilmgateError
from app.secret_rules import is_blank
from app.shared_reads import SharedRead
from app.validation import validate_document
from app.vault import Vault, options_document_place

log = structlog.get_logger()
CACHE_SECONDS = 3.0
"""How long another process may use the old values after a change."""
MASK = "********"
"""Shown in place of a secret; written back, it means: keep the stored secret."""
SEALED = "sealed"
MAX_ADDRESS_LENGTH = 2048


class DocumentSection(BaseModel):
    """Part of a document. Unknown fields are refused, and a secret of spaces alone is not set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _empty_blank_secrets(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        return "" if annotation is SecretStr and isinstance(value, str) and is_blank(value) else value


class OptionsDocument(DocumentSection):
    """A document. A subclass names its row and gives every field a default, which an empty database then has."""

    document: ClassVar[str]


def web_address(text: str) -> str:
    try:
        parsed = httpx2.URL(text.strip())
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        parsed = httpx2.URL("")
    plain = parsed.scheme in ("http", "https") and parsed.host and not parsed.userinfo
    if not plain or len(text) > MAX_ADDRESS_LENGTH:
        raise PydanticCustomError("address", "must be a URL like https://example.com/path")
    return str(parsed)


Address = Annotated[str, AfterValidator(web_address)]
OptionalAddress = Annotated[str, AfterValidator(lambda text: web_address(text) if text.strip() else "")]


DocumentType = TypeVar("DocumentType", bound=OptionsDocument)


def read_document(kind: type[DocumentType], values: Mapping[str, Any]) -> DocumentType:
    """Raises ``InvalidRequest`` that names the field, for example ``resolvers.0.url``."""
    return validate_document(kind, values, whole=kind.document)


def masked_values(document: OptionsDocument) -> dict[str, Any]:
    """The values to show, with every secret as ``MASK``."""
    return _plain_values(document, lambda secret: MASK if secret else "")


def sealed_values(document: OptionsDocument, seal: Callable[[str], str]) -> dict[str, Any]:
    """The values to store, with every secret sealed."""
    return _plain_values(document, lambda secret: {SEALED: seal(secret)} if secret else "")


def opened_values(stored: Any, unseal: Callable[[str], Any]) -> Any:
    """The stored values with every secret unsealed."""
    if isinstance(stored, dict):
        if stored.keys() == {SEALED}:
            return unseal(stored[SEALED])
        return {name: opened_values(value, unseal) for name, value in stored.items()}
    if isinstance(stored, list):
        return [opened_values(value, unseal) for value in stored]
    return stored


def with_kept_secrets(values: Mapping[str, Any], old: OptionsDocument) -> dict[str, Any]:
    """``values`` with the old secrets where it leaves them out or has ``MASK``; list items are matched by ``name``."""
    filled = _fill_secrets(dict(values), old.model_dump())
    assert isinstance(filled, dict)
    return filled


def _fill_secrets(new: Any, old: Any) -> Any:
    if isinstance(old, SecretStr):
        return old.get_secret_value() if new in (None, MASK) else new
    if isinstance(old, dict) and isinstance(new, Mapping):
        kept = {
            name: _fill_secrets(new.get(name), value)
            for name, value in old.items()
            if _is_given(new, name, value)
        }
        return {**new, **kept}
    if isinstance(new, list):
        items = old if isinstance(old, list | tuple) else ()
        known = {item["name"]: item for item in items if isinstance(item, dict) and "name" in item}
        return [_fill_secrets(item, known.get(_name_of(item))) for item in new]
    if isinstance(new, Mapping):
        return {name: _fill_secrets(value, None) for name, value in new.items()}
    return new if new != MASK else ""


def _name_of(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else None


def _is_given(new: Mapping[str, Any], name: str, old: Any) -> bool:
    return name in new or isinstance(old, SecretStr)


def _plain_values(document: OptionsDocument, show: Callable[[str], Any]) -> dict[str, Any]:
    def show_value(value: Any) -> Any:
        if isinstance(value, SecretStr):
            return show(value.get_secret_value())
        if isinstance(value, dict):
            return {name: show_value(item) for name, item in value.items()}
        return [show_value(item) for item in value] if isinstance(value, list | tuple) else value

    plain = show_value(document.model_dump())
    assert isinstance(plain, dict)
    return plain


class OptionsRepository:
    """One row for each ``OptionsDocument`` class."""

    def __init__(self, database: Database, vault: Vault, *, seconds: float = CACHE_SECONDS) -> None:
        self._database = database
        self._vault = vault
        self._seconds = seconds
        self._reads: dict[str, SharedRead[OptionsDocument]] = {}
        """By the document's name."""

    async def read(self, kind: type[DocumentType]) -> DocumentType:
        """The document with its secrets. Raises ``SettingsInvalid`` when they were sealed with another root key."""
        document = await self._reads_of(kind).get()
        assert isinstance(document, kind)
        return document

    async def read_if_possible(self, kind: type[DocumentType]) -> DocumentType:
        """Never raises: while the database can't be read, the last read document or the defaults."""
        try:
            return await self.read(kind)
        except (*DATABASE_AWAY, FilmgateError) as error:
            log.warning("options.unreadable", document=kind.document, error=type(error).__name__)
        document = self._reads_of(kind).last
        return document if isinstance(document, kind) else kind()

    def forget(self, _which: str = "") -> None:
        """The documents have changed: they are read again."""
        for reads in self._reads.values():
            reads.expire()

    async def close(self) -> None:
        for reads in self._reads.values():
            await reads.close()

    def _reads_of(self, kind: type[DocumentType]) -> SharedRead[OptionsDocument]:
        reads = self._reads.get(kind.document)
        if reads is None:
            read = partial(self._read_document, kind)
            reads = self._reads[kind.document] = SharedRead(read, seconds=self._seconds, away=DATABASE_AWAY)
        return reads

    async def _read_document(self, kind: type[OptionsDocument]) -> OptionsDocument:
        async with self._database.read_few() as connection:
            return await self.read_within(connection, kind)

    async def read_masked(self, kind: type[OptionsDocument]) -> dict[str, Any]:
        """Every field; a secret as ``MASK``, or empty where there is none."""
        return masked_values(await self.read(kind))

    async def write(self, kind: type[DocumentType], values: Mapping[str, Any]) -> DocumentType:
        """Replace a document; secrets that ``values`` leaves out stay. Raises ``InvalidRequest``."""
        async with self._database.write() as connection:
            written = await self.write_within(connection, kind, values)
        self.forget()
        return written

    async def write_within(
        self, connection: AsyncConnection, kind: type[DocumentType], values: Mapping[str, Any]
    ) -> DocumentType:
        """Like ``write``, in the caller's transaction. Call ``forget`` after it."""
        old = await self.read_within(connection, kind)
        new = read_document(kind, with_kept_secrets(values, old))
        text = json.dumps(sealed_values(new, partial(self.seal, kind)))
        await put_row(connection, kind.document, text)
        await announce_change(connection, "options")
        return new

    def seal(self, kind: type[OptionsDocument], secret: str) -> str:
        """For a place in this document."""
        return self._vault.seal(secret, place=options_document_place(kind.document))

    async def read_within(self, connection: AsyncConnection, kind: type[DocumentType]) -> DocumentType:
        """Like ``read``, in the caller's transaction."""
        query = sa.select(options.c.value).where(options.c.name == kind.document)
        text = (await connection.execute(query)).scalar()
        return kind() if text is None else self._open_document(kind, text)

    def _open_document(self, kind: type[DocumentType], text: str) -> DocumentType:
        place = options_document_place(kind.document)
        stored = opened_values(json.loads(text), lambda box: self._vault.unseal(box, place=place))
        return read_document(kind, stored)


async def read_without_secrets(connection: AsyncConnection, kind: type[DocumentType]) -> DocumentType:
    """A document that has no secrets, as it is in the caller's transaction."""
    query = sa.select(options.c.value).where(options.c.name == kind.document)
    text = (await connection.execute(query)).scalar()
    return kind() if text is None else read_document(kind, json.loads(text))


async def put_row(connection: AsyncConnection, name: str, text: str) -> None:
    """Insert or update one row, in the caller's transaction."""
    values = {"value": text, "updated_at": clock.now()}
    changed = await connection.execute(sa.update(options).where(options.c.name == name).values(**values))
    if changed.rowcount == 0:
        await connection.execute(sa.insert(options), {"name": name, **values})
