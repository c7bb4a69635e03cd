"""Sessions of the panel: opaque cookies, stored as keyed hashes, listed and revocable."""

import hmac
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from app.admin.admin_repository import AdminUser
from app.db.operator_tables import admins, sessions
from app.db.session import Database
from app.errors import NotFound
from app.vault import Vault

IDLE_SECONDS = 43_200.0
"""A session without a request for half a day ends."""
LONGEST_SECONDS = 604_800.0
PROVIDER_SECONDS = 43_200.0
"""A session of a sign-in through a provider ends after half a day in any case, as only a sign-in asks for the groups."""
TOUCH_SECONDS = 60.0
"""At most this often a session's last use is written."""

SignInMethod = Literal["password", "oidc"]
_ADMIN_COLUMNS = (
    admins.c.name,
    admins.c.role,
    admins.c.created_at.label("admin_since"),
    admins.c.totp_secret.is_not(None).label("second_factor"),
    admins.c.subject.is_not(None).label("from_provider"),
)


@dataclass(frozen=True, slots=True)
class AdminSession:
    """The session of one signed-in browser. Every write must send ``csrf`` back."""

    id: str
    admin: AdminUser
    csrf: str
    expires_at: float
    method: SignInMethod
    opened_at: float


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as the list shows it; times in UTC seconds."""

    id: str
    admin_id: str
    admin_name: str
    created_at: float
    seen_at: float
    expires_at: float
    address: str
    agent: str
    method: SignInMethod


class SessionStore:
    """Stores the keyed hash of a cookie, never the cookie's value."""

    def __init__(self, database: Database, vault: Vault, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._database = database
        self._vault = vault
        self._idle = idle_seconds

    async def open(
        self, admin: AdminUser, *, address: str, agent: str, method: SignInMethod
    ) -> tuple[str, AdminSession]:
        """The cookie's value, and the session."""
        raw = secrets.token_urlsafe(32)
        now = time.time()
        csrf = self._csrf_values(raw)[0]
        session = AdminSession(uuid.uuid4().hex, admin, csrf, now + self._idle, method, now)
        row = {
            "id": session.id,
            "hash": self._hashes(raw)[0],
            "admin_id": admin.id,
            "created_at": now,
            "seen_at": now,
            "expires_at": session.expires_at,
            "address": address[:64],
            "agent": "".join(letter for letter in agent if letter.isprintable())[:200],
            "method": method,
        }
        async with self._database.write() as connection:
            await connection.execute(sa.delete(sessions).where(sessions.c.expires_at < now))
            await connection.execute(sa.insert(sessions), row)
        return raw, session

    async def find(self, raw: str) -> AdminSession | None:
        """The session of a cookie, extended by this use; None when it has ended."""
        hashes = self._hashes(raw)
        query = (
            sa.select(sessions, *_ADMIN_COLUMNS)
            .join(admins, admins.c.id == sessions.c.admin_id)
            .where(sessions.c.hash.in_(hashes))
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        now = time.time()
        if row is None or row.expires_at <= now:
            return None
        expires_at = row.expires_at
        if now - row.seen_at > TOUCH_SECONDS:
            longest = PROVIDER_SECONDS if row.method == "oidc" else LONGEST_SECONDS
            expires_at = min(now + self._idle, row.created_at + longest)
            await self._extend(row.id, now, expires_at)
        admin = AdminUser(
            row.admin_id, row.name, row.role, row.admin_since, row.second_factor, row.from_provider
        )
        # A page that was opened under an old root key keeps its CSRF value.
        csrf = self._csrf_values(raw)[hashes.index(row.hash)]
        return AdminSession(row.id, admin, csrf, expires_at, row.method, row.created_at)

    def new_device(self, name: str) -> str:
        """The value of a cookie by which a browser is known to have signed in as ``name``."""
        nonce = secrets.token_urlsafe(16)
        return f"{nonce}.{self._device_hashes(nonce, name)[0]}"

    def known_device(self, cookie: str, name: str) -> str:
        """The browser's own part of the cookie; empty when the cookie is not one that we made for ``name``."""
        nonce, _, given = cookie.partition(".")
        hashes = self._device_hashes(nonce, name) if nonce and len(cookie) < 200 else []
        known = any(hmac.compare_digest(each.encode(), given.encode()) for each in hashes)
        return f"device {nonce}" if known else ""

    def _device_hashes(self, nonce: str, name: str) -> Sequence[str]:
        return self._vault.keyed_hashes("admin-device", f"{nonce} {name.lower()}")

    async def list(self, *, admin_id: str | None) -> list[OpenSession]:
        """Open sessions, newest first, of one admin or (None) of all."""
        query = sa.select(sessions, admins.c.name).join(admins, admins.c.id == sessions.c.admin_id)
        query = query.where(sessions.c.expires_at > time.time())
        if admin_id is not None:
            query = query.where(sessions.c.admin_id == admin_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(sessions.c.created_at.desc()))).all()
        return [
            OpenSession(
                id=row.id,
                admin_id=row.admin_id,
                admin_name=row.name,
                created_at=row.created_at,
                seen_at=row.seen_at,
                expires_at=row.expires_at,
                address=row.address,
                agent=row.agent,
                method=row.method,
            )
            for row in rows
        ]

    async def end(self, session_id: str, *, admin_id: str | None = None) -> str:
        """End a session; returns its admin's name. Raises ``NotFound``, also for a session of another admin when
        ``admin_id`` is given."""
        which = [sessions.c.id == session_id]
        if admin_id is not None:
            which.append(sessions.c.admin_id == admin_id)
        name = sa.select(admins.c.name).where(admins.c.id == sessions.c.admin_id).scalar_subquery()
        async with self._database.write() as connection:
            ended = (await connection.execute(sa.delete(sessions).where(*which).returning(name))).first()
        if ended is None:
            raise NotFound("No such session.")
        return str(ended[0])

    async def _extend(self, session_id: str, now: float, expires_at: float) -> None:
        async with self._database.write() as connection:
            change = sa.update(sessions).where(sessions.c.id == session_id)
            await connection.execute(change.values(seen_at=now, expires_at=expires_at))

    def _hashes(self, raw: str) -> Sequence[str]:
        return self._vault.keyed_hashes("admin-session", raw)

    def _csrf_values(self, raw: str) -> Sequence[str]:
        return self._vault.keyed_hashes("admin-csrf", raw)
