"""Client keys: created once, stored as keyed hashes, and read from a cache on every request."""

import asyncio
import secrets
import string
import time
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from app import clock
from app.db.changes import announce_change
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import keys
from app.errors import IN_FILE, AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied, RateLimited
from app.keys.key import ClientKey, KeyTerms, read_terms
from app.keys.limits import LocalLimiter, RateLimiter, count_request
from app.keys.project import KEYS_WITH_PROJECTS
from app.keys.records import PURPOSE, stale_hashes, write_hashes
from app.keys.spender import read_tags
from app.ops.access import notes_of
from app.secret_rules import check_token, is_blank
from app.shared_reads import SharedRead
from app.vault import Vault

log = structlog.get_logger()
ALPHABET = string.ascii_letters + string.digits
CACHE_SECONDS = 5.0
"""For this long another process may still accept a revoked key, where no notification reaches it (SQLite)."""
RETRY_HEADER = b"x-stainless-retry-count"
MOST_RETRIES = 100
CACHE_SIZE = 10_000
KEY_PROTOCOL = "openai-insecure-api-key."
"""Prefix of the WebSocket subprotocol in which browsers send a key: they can set no header there."""


def retry_number(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Which retry of its client's SDK a request is; 0 for a first attempt, and where the client does not say."""
    text = next((value for name, value in headers if name == RETRY_HEADER), b"")
    return min(int(text), MOST_RETRIES) if text.isdigit() and len(text) < 6 else 0


def key_in_headers(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's key in the raw headers of an ASGI scope; empty when there is none.

    Read are ``Authorization`` (``Bearer <key>`` or the bare key), then ``x-api-key``, then the WebSocket
    subprotocol. An empty header counts as absent, and so does ``Authorization`` with another scheme: a proxy that asks for
    a name and a password passes these on.
    """
    api_key = ""
    for name, value in headers:
        if name == b"authorization":
            if token := bearer_token(value.decode("latin-1")):
                return token
        elif name == b"x-api-key":
            api_key = value.decode("latin-1").strip() or api_key
        elif name == b"sec-websocket-protocol" and not api_key:
            api_key = _key_in_protocols(value.decode("latin-1"))
    return api_key


def bearer_token(header: str) -> str:
    """The token in ``Bearer <token>`` or a bare one; empty for another scheme."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return "" if token else scheme


def _key_in_protocols(protocols: str) -> str:
    for protocol in protocols.split(","):
        if protocol.strip().startswith(KEY_PROTOCOL):
            return protocol.strip().removeprefix(KEY_PROTOCOL)
    return ""


class KeyRing:
    """Authenticates, reads and changes client keys."""

    def __init__(self, database: Database, vault: Vault, *, limiter: RateLimiter | None = None) -> None:
        self._database = database
        self._vault = vault
        self._limiter = limiter or LocalLimiter()
        self._known: dict[str, SharedRead[ClientKey]] = {}
        """By secret. Those that open nothing are forgotten once everybody who tries them has been told."""
        self._limited_at: dict[str, float] = {}
        self._rehashes: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        await asyncio.gather(*self._rehashes, *(known.close() for known in self._known.values()))
        await self._limiter.close()

    # ---- authentication -------------------------------------------------------------------------

    async def admit(self, raw: str, scope: MutableMapping[str, Any]) -> ClientKey:
        """Authenticate an ASGI request and count it against the key's requests a minute; reading is not counted.

        Raises ``AuthenticationFailed`` (401), ``PermissionDenied`` (403) or ``RateLimited`` (429).
        """
        client = scope.get("client")
        known = self._known.get(raw)
        key = (known.recent() if known is not None else None) or await self._read_key(raw)
        _require_valid(key, client[0] if client else None)
        notes_of(scope).key_id = key.id
        scope["state"]["keyed"] = True  # for the bounds of its connection
        notes_of(scope).tags = read_tags(scope["headers"])
        if key.rpm is not None or key.team is not None:
            try:
                await count_request(self._limiter, key, scope)
            except RateLimited:
                self._note_limited(key, scope)
                raise
        return key

    def was_limited(self, key_id: str, seconds: float) -> bool:
        """Whether a first attempt of a client's SDK was refused within the last ``seconds``, before it was read."""
        return self._limited_at.get(key_id, 0.0) > time.monotonic() - seconds

    def _note_limited(self, key: ClientKey, scope: MutableMapping[str, Any]) -> None:
        if not retry_number(scope["headers"]):
            self._limited_at[key.id] = time.monotonic()

    async def authenticate(self, raw: str, *, address: str | None = None) -> ClientKey:
        """Raises ``AuthenticationFailed`` (401) or ``PermissionDenied`` (403)."""
        known = self._known.get(raw)
        key = (known.recent() if known is not None else None) or await self._read_key(raw)
        _require_valid(key, address)
        return key

    def forget(self, key_id: str = "") -> None:
        """The key has changed (without an id: any key may have): the next request that brings it waits for its row."""
        for known in self._known.values():
            if not key_id or known.last is None or known.last.id == key_id:
                known.expire()

    async def _read_key(self, raw: str) -> ClientKey:
        """One read for all requests that bring the same key."""
        if not raw:
            raise AuthenticationFailed
        known = self._known.get(raw)
        if known is None:
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            known = SharedRead(lambda: self._load_key(raw), seconds=CACHE_SECONDS, away=DATABASE_AWAY)
            self._known[raw] = known
        try:
            return await known.read()
        except AuthenticationFailed:
            self._known.pop(raw, None)  # strangers choose these
            raise

    async def _load_key(self, raw: str) -> ClientKey:
        hashes = self._hashes(raw)
        query = KEYS_WITH_PROJECTS.where(sa.or_(keys.c.hash.in_(hashes), keys.c.old_hash.in_(hashes)))
        async with self._database.read_few() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise AuthenticationFailed
        if self._vault.has_old_roots and (moved := stale_hashes(row, hashes, self._vault)):
            self._begin_rehash(row, moved)
        return ClientKey.of_row(row, until=None if row.hash in hashes else row.old_until or 0.0)

    def _begin_rehash(self, row: Any, moved: dict[str, str]) -> None:
        """In the background: the request does not wait for it."""
        task = asyncio.create_task(self._rehash(row, moved))
        self._rehashes.add(task)
        task.add_done_callback(self._rehashes.discard)

    async def _rehash(self, row: Any, moved: dict[str, str]) -> None:
        try:
            async with self._database.write() as connection:
                await write_hashes(connection, row, moved)
        except DATABASE_AWAY as error:  # retried when the key is next read
            log.warning("key.not_rehashed", key=row.id, error=type(error).__name__)

    # ---- management ----------------------------------------------------------------------------

    async def find_by_id(self, key_id: str) -> ClientKey | None:
        async with self._database.read() as connection:
            row = (await connection.execute(KEYS_WITH_PROJECTS.where(keys.c.id == key_id))).first()
        return ClientKey.of_row(row) if row is not None else None

    async def find_by_secret(self, raw: str) -> ClientKey | None:
        """The key with this secret, even if it is disabled; None for a secret before the last rotation."""
        query = KEYS_WITH_PROJECTS.where(keys.c.hash.in_(self._hashes(raw)))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return ClientKey.of_row(row) if row is not None else None

    async def get(self, key_id: str) -> ClientKey:
        """Raises ``NotFound``."""
        key = await self.find_by_id(key_id)
        if key is None:
            raise NotFound(f"There is no key {key_id[:100]}. `filmgate keys list` shows them.")
        return key

    async def list(self) -> list[ClientKey]:
        async with self._database.read() as connection:
            return [
                ClientKey.of_row(row)
                for row in await connection.execute(KEYS_WITH_PROJECTS.order_by(keys.c.created_at))
            ]

    async def count(self) -> int:
        async with self._database.read() as connection:
            return int((await connection.execute(sa.select(sa.func.count()).select_from(keys))).scalar_one())

    async def create(self, name: str, **fields: Any) -> str:
        """Create a key and return its secret, which cannot be read again. ``fields`` as in ``KeyTerms``.

        Raises ``InvalidRequest``.
        """
        _, raw = await self.create_key({"name": name, **fields})
        return raw

    async def create_key(self, fields: Mapping[str, Any], *, secret: str = "") -> tuple[ClientKey, str]:
        """The new key and its secret: a new one, or the ``secret`` that clients have already.

        Raises ``InvalidRequest``, also for a secret that another key has.
        """
        terms = read_terms(fields)
        public = _random_text(8)
        if not secret:
            raw = _new_secret(public)
            await self._insert_row(raw, public=public, terms=terms, source="store")
            return await self.get(public), raw
        check_token(secret, param="secret")
        await self._require_unused(secret)
        try:
            await self._insert_row(secret, public=public, terms=terms, source="store", secret_given=True)
        except IntegrityError:  # another process has just created it
            await self._require_unused(secret)
            raise
        return await self.get(public), secret

    async def _require_unused(self, raw: str) -> None:
        """Raises ``InvalidRequest`` that names the key which has this secret, or had it before its rotation."""
        hashes = self._hashes(raw)
        query = sa.select(keys).where(sa.or_(keys.c.hash.in_(hashes), keys.c.old_hash.in_(hashes)))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is not None:
            raise InvalidRequest(
                f"The key {row.name} ({row.id}) has this secret already: change that one, or choose another secret.",
                param="secret",
                reason="secret_taken",
            )

    async def update(self, key_id: str, changes: Mapping[str, Any]) -> ClientKey:
        """Change the given fields. Raises ``NotFound`` or ``InvalidRequest``."""
        known = await self._find_writable(key_id)
        terms = read_terms(known.terms() | dict(changes))
        check_project(known, terms.project)
        await self._write_columns(key_id, **terms.as_columns())
        return await self.get(key_id)

    async def rotate(self, key_id: str, *, overlap_seconds: float = 0.0) -> str:
        """A new secret, which cannot be read again. The old one works for ``overlap_seconds`` more.

        Raises ``NotFound``.
        """
        await self._find_writable(key_id)
        raw = _new_secret(key_id)
        old: dict[str, Any] = {"old_hash": None, "old_root": None, "old_until": None}
        if overlap_seconds > 0:
            until = clock.now() + overlap_seconds
            old = {"old_hash": keys.c.hash, "old_root": keys.c.root, "old_until": until}
        await self._write_columns(key_id, **self._hash_columns(raw), **old, secret_given=False)
        return raw

    async def revoke(self, key_id: str) -> None:
        """Raises ``NotFound``. Other processes notice at once on PostgreSQL, and within five seconds on SQLite."""
        await self._find_writable(key_id)
        await self._write_columns(key_id, enabled=False)

    async def delete(self, key_id: str) -> None:
        """The key's tasks and ledger stay. Raises ``NotFound``."""
        await self._find_writable(key_id)
        async with self._database.write() as connection:
            await connection.execute(sa.delete(keys).where(keys.c.id == key_id))
            await announce_change(connection, "keys", key_id)
        self.forget(key_id)

    async def ensure(self, raw: str, *, name: str) -> None:
        """Create a key with this secret unless it exists (``FILMGATE_API_KEY``)."""
        hashes = self._hashes(raw)
        known = sa.select(keys.c.id).where(sa.or_(keys.c.hash.in_(hashes), keys.c.old_hash.in_(hashes)))
        async with self._database.read() as connection:
            if (await connection.execute(known)).first() is not None:
                return
        with suppress(IntegrityError):  # another process has just created it
            await self._insert_row(
                raw, public=_random_text(8), terms=KeyTerms(name=name), source="store", secret_given=True
            )

    async def declare(self, raw: str, fields: Mapping[str, Any]) -> ClientKey:
        """Create or change the key with this secret, as the configuration file declares it.

        Raises ``InvalidRequest``.
        """
        terms = read_terms(fields)
        if await self.find_by_secret(raw) is None:
            with suppress(IntegrityError):  # another process has just created it
                await self._insert_row(
                    raw, public=_random_text(8), terms=terms, source="file", secret_given=True
                )
        known = await self.find_by_secret(raw)
        assert known is not None
        check_project(known, terms.project)
        await self._write_columns(known.id, **terms.as_columns(), **self._hash_columns(raw), source="file")
        return await self.get(known.id)

    async def _find_writable(self, key_id: str) -> ClientKey:
        key = await self.get(key_id)
        if key.source == "file":
            raise InvalidRequest(f"The key {key_id} {IN_FILE}", reason="declared_in_file")
        return key

    async def _write_columns(self, key_id: str, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(sa.update(keys).where(keys.c.id == key_id).values(**values))
            await announce_change(connection, "keys", key_id)
        self.forget(key_id)

    async def _insert_row(
        self, raw: str, *, public: str, terms: KeyTerms, source: str, secret_given: bool = False
    ) -> None:
        row = {
            **terms.as_columns(),
            "id": public,
            **self._hash_columns(raw),
            "created_at": clock.now(),
            "source": source,
            "secret_given": secret_given,
        }
        async with self._database.write() as connection:
            await connection.execute(sa.insert(keys).values(row))
            await announce_change(connection, "keys", public)
        self.forget(public)

    def _hash_columns(self, raw: str) -> dict[str, str]:
        if is_blank(raw):
            raise InvalidRequest(
                "A key is empty: it would open the gateway to everybody.", param="secret", reason="missing"
            )
        return {"hash": self._hashes(raw)[0], "root": self._vault.root_fingerprint}

    def _hashes(self, raw: str) -> Sequence[str]:
        return self._vault.keyed_hashes(PURPOSE, raw)


def _require_valid(key: ClientKey, address: str | None) -> None:
    """Raises ``AuthenticationFailed`` or ``PermissionDenied``."""
    if not key.enabled:
        raise PermissionDenied("This API key is disabled.")
    if key.team is not None and not key.team.enabled:
        raise PermissionDenied("The project of this API key is disabled.")
    if key.expires_at is not None and key.expires_at < clock.now():
        raise PermissionDenied("This API key has expired.")
    if key.secret_until is not None and key.secret_until <= clock.now():
        raise AuthenticationFailed
    if key.networks:
        key.require_address(address)


def check_project(known: ClientKey, project: str | None) -> None:
    """Raises ``InvalidRequest`` when ``project`` differs."""
    if project != known.project:
        raise InvalidRequest(
            "project cannot be changed, because it owns the key's tasks. Create a new key.", param="project"
        )


def _random_text(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _new_secret(public: str) -> str:
    return f"sk-fg-{public}{_random_text(40)}"
