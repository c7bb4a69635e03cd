"""Admins who sign in through the OpenID Connect provider: known by its name for them, with the role that it gives."""

import hashlib
import time
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.admin.admin_repository import AdminUser, admin_of_row
from app.admin.audit_log import AuditLog
from app.admin.rights import AdminRole
from app.admin.sign_in_errors import OidcRefused
from app.db import marks
from app.db.connection import AsyncConnection
from app.db.operator_tables import admins, sessions
from app.db.session import Database

ACTOR = "oidc"
"""The actor in the audit log."""
MOST_NAMED_ALIKE = 20
STATE_SECONDS = 600.0
"""The longest that somebody may take at the provider."""
EMERGENCY_SECONDS = 3600.0
"""How long a password works after ``filmgate admin reset-password``, where passwords are switched off."""


class ProviderAdmins:
    """Reads and changes them. The audit row of a change is written in the transaction of the change."""

    def __init__(self, database: Database, *, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def admit(self, subject: str, *, name: str, role: AdminRole) -> AdminUser:
        """The admin of that subject, created or changed to the role; another role ends the sessions of before."""
        async with self._database.write() as connection:
            row = await _find_row(connection, subject)
            if row is not None and row.role != role:
                await self._change_role(connection, row, role)
                row = await _find_row(connection, subject)
        return admin_of_row(row) if row is not None else await self._create(subject, name, role)

    async def end_sessions(self, subject: str) -> None:
        """The provider gives somebody no role any more."""
        own = sa.select(admins.c.id).where(admins.c.subject == subject).scalar_subquery()
        async with self._database.write() as connection:
            await connection.execute(sa.delete(sessions).where(sessions.c.admin_id == own))

    async def use_state(self, state: str) -> bool:
        """Whether the state of a sign-in is used for the first time."""
        now = time.time()
        name = f"oidc/{hashlib.sha256(state.encode()).hexdigest()}"
        async with self._database.write() as connection:
            return await marks.claim_mark(connection, name, until=now + STATE_SECONDS, now=now)

    async def allow_password(self, name: str) -> None:
        """Let an admin in with a password for an hour, where passwords are switched off."""
        now = time.time()
        async with self._database.write() as connection:
            mark = _emergency_mark(name)
            await marks.claim_mark(connection, mark, until=now + EMERGENCY_SECONDS, now=now)
            await marks.extend_mark(connection, mark, until=now + EMERGENCY_SECONDS)

    async def allows_password(self, name: str) -> bool:
        async with self._database.read() as connection:
            return await marks.is_taken(connection, _emergency_mark(name), now=time.time())

    async def _change_role(self, connection: AsyncConnection, row: Any, role: AdminRole) -> None:
        await connection.execute(sa.update(admins).where(admins.c.id == row.id).values(role=role))
        await connection.execute(sa.delete(sessions).where(sessions.c.admin_id == row.id))
        before = admin_of_row(row).as_object()
        sides = {"before": before, "after": before | {"role": role}}
        await self._audit.record(connection, ACTOR, "admin.updated", target=f"admins/{row.id}", **sides)

    async def _create(self, subject: str, name: str, role: AdminRole) -> AdminUser:
        """The name may be that of an admin with a password, whose account nobody must get by it: then with a number."""
        plain = "".join(letter for letter in name if letter.isprintable()).strip()[:70] or "admin"
        for number in range(1, MOST_NAMED_ALIKE + 1):
            row = {
                "id": uuid.uuid4().hex,
                "name": plain if number == 1 else f"{plain} ({number})",
                "role": role,
                "password": "",
                "created_at": time.time(),
                "subject": subject,
            }
            try:
                async with self._database.write() as connection:
                    await connection.execute(sa.insert(admins), row)
                    after = {"name": row["name"], "role": role}
                    target = f"admins/{row['id']}"
                    await self._audit.record(connection, ACTOR, "admin.created", target=target, after=after)
                    return admin_of_row(await _find_row(connection, subject))
            except IntegrityError:
                continue
        raise OidcRefused(f"There are too many admins named {plain}.")


def hashed_subject(issuer: str, subject: str) -> str:
    """What a provider calls a person is unique there only, and may be long."""
    return hashlib.sha256(f"{issuer}\n{subject}".encode("utf-8", "replace")).hexdigest()


async def _find_row(connection: AsyncConnection, subject: str) -> Any:
    return (await connection.execute(sa.select(admins).where(admins.c.subject == subject))).first()


def _emergency_mark(name: str) -> str:
    return f"password-sign-in/{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()}"
