"""The admins of the panel, and the one-time links that create the first of them."""

import json
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.admin.audit_log import AuditLog
from app.admin.passwords import PasswordHashing
from app.admin.rights import AdminRole
from app.db.connection import AsyncConnection
from app.db.operator_tables import admins, options, recovery_codes, sessions
from app.db.session import Database
from app.errors import InvalidRequest, MissingField, NotFound, PermissionDenied
from app.secret_rules import check_password
from app.vault import Vault

SETUP_OPTION = "admin_setup"
SETUP_SECONDS = 1800.0
MOST_LINKS = 5
"""Each replica prints a link at its first start; only the newest few are valid."""
FIXED_NAME = "admin"


class SetupInvalid(InvalidRequest):
    code = "setup_invalid"


@dataclass(frozen=True, slots=True)
class AdminUser:
    id: str
    name: str
    role: AdminRole
    created_at: float
    second_factor: bool = False
    from_provider: bool = False
    """Signs in through the OpenID Connect provider, which says the role."""

    def as_object(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "role": self.role, "created_at": self.created_at}


class AdminRepository:
    """Reads and changes admins. The audit row of a change is written in the transaction of the change."""

    def __init__(
        self, database: Database, vault: Vault, *, audit: AuditLog, passwords: PasswordHashing
    ) -> None:
        self._database = database
        self._vault = vault
        self._audit = audit
        self._passwords = passwords

    async def count(self) -> int:
        async with self._database.read() as connection:
            return await _count_admins(connection)

    async def list(self) -> list[AdminUser]:
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(admins).order_by(admins.c.created_at))
            return [admin_of_row(row) for row in rows]

    async def named(self, name: str) -> AdminUser:
        """Raises ``NotFound``."""
        async with self._database.read() as connection:
            row = (await connection.execute(sa.select(admins).where(admins.c.name == name))).first()
        if row is None:
            raise NotFound(f"No such admin: {name[:100]}")
        return admin_of_row(row)

    async def get(self, admin_id: str) -> AdminUser:
        """Raises ``NotFound``."""
        async with self._database.read() as connection:
            return await _get_admin(connection, admin_id)

    async def verify_password(self, name: str, password: str, *, address: str = "") -> AdminUser | None:
        """The admin of that name if the password is right, else None.

        Raises ``SignInThrottled`` when too many passwords of ``address``, or in all, wait to be verified.
        """
        with self._passwords.reserve_turn(address):
            async with self._database.read() as connection:
                query = sa.select(admins).where(admins.c.name == name)
                row = (await connection.execute(query)).first()
            # Who has no password is verified like a name that does not exist: it takes as long.
            right = await self._passwords.verify(row.password or None if row else None, password)
        return admin_of_row(row) if row is not None and right else None

    async def create(self, actor: str, name: str, *, role: AdminRole, password: str) -> AdminUser:
        """Raises ``InvalidRequest`` for a name that exists or a weak password."""
        name = _checked_name(name)
        check_password(password, name=name)
        row = _admin_row(name, role, hashed=await self._passwords.hash(password))
        try:
            async with self._database.write() as connection:
                await connection.execute(sa.insert(admins), row)
                await self._record_change(connection, actor, "admin.created", row=row)
        except IntegrityError as error:
            raise InvalidRequest(
                f"There is already an admin named {name}.", param="name", reason="name_taken"
            ) from error
        return AdminUser(row["id"], name, role, row["created_at"])

    async def update(
        self,
        actor: str,
        admin_id: str,
        *,
        name: str | None = None,
        role: AdminRole | None = None,
        password: str | None = None,
    ) -> AdminUser:
        """Changes the given fields. A new password or role ends the admin's sessions."""
        changed: dict[str, Any] = {}
        if name is not None:
            changed["name"] = _checked_name(name)
        if role is not None:
            changed["role"] = role
        if password is not None:
            check_password(password, name=name or (await self.get(admin_id)).name)
            changed["password"] = await self._passwords.hash(password)
        try:
            async with self._database.write() as connection:
                before = await _get_admin(connection, admin_id)
                if before.from_provider and role not in (None, before.role):
                    raise InvalidRequest("The groups at the sign-in provider decide this role.", param="role")
                if before.role == "owner" and role not in (None, "owner"):
                    await _require_other_owner(connection)
                if changed:
                    wanted = sa.update(admins).where(admins.c.id == admin_id)
                    await connection.execute(wanted.values(**changed))
                if password is not None or (role is not None and role != before.role):
                    await connection.execute(sa.delete(sessions).where(sessions.c.admin_id == admin_id))
                after = await _get_admin(connection, admin_id)
                sides = {"before": before.as_object(), "after": after.as_object() | _password_mark(password)}
                target = f"admins/{admin_id}"
                await self._audit.record(connection, actor, "admin.updated", target=target, **sides)
        except IntegrityError as error:
            raise InvalidRequest(
                f"There is already an admin named {name}.", param="name", reason="name_taken"
            ) from error
        return after

    async def delete(self, actor: str, admin_id: str) -> None:
        """Raises ``InvalidRequest`` for the last owner."""
        async with self._database.write() as connection:
            admin = await _get_admin(connection, admin_id)
            if admin.role == "owner":
                await _require_other_owner(connection)
            await connection.execute(sa.delete(sessions).where(sessions.c.admin_id == admin_id))
            await connection.execute(sa.delete(recovery_codes).where(recovery_codes.c.admin_id == admin_id))
            await connection.execute(sa.delete(admins).where(admins.c.id == admin_id))
            target = f"admins/{admin_id}"
            await self._audit.record(
                connection, actor, "admin.deleted", target=target, before=admin.as_object()
            )

    async def reset_password(self, actor: str, name: str, *, password: str) -> AdminUser:
        """Set the password of the admin with that name; create an owner if there is none."""
        known = next((admin for admin in await self.list() if admin.name == name), None)
        if known is None:
            return await self.create(actor, name, role="owner", password=password)
        return await self.update(actor, known.id, password=password)

    async def ensure_fixed(self, password: str) -> None:
        """Make ``admin`` an owner with the password from the environment. Raises ``InvalidRequest`` for a weak one."""
        check_password(password, name=FIXED_NAME)
        if await self.verify_password(FIXED_NAME, password) is not None:
            return
        hashed = await self._passwords.hash(password)
        row = _admin_row(FIXED_NAME, "owner", hashed=hashed)
        async with self._database.write() as connection:
            changed = await connection.execute(
                sa.update(admins).where(admins.c.name == FIXED_NAME).values(password=hashed, role="owner")
            )
            if changed.rowcount == 0:
                await connection.execute(sa.insert(admins), row)
            else:
                own = sa.select(admins.c.id).where(admins.c.name == FIXED_NAME).scalar_subquery()
                await connection.execute(sa.delete(sessions).where(sessions.c.admin_id == own))
            await self._record_change(connection, "environment", "admin.password_set", row=row)

    async def lock_out_empty_password(self) -> bool:
        """End the sessions of ``admin`` if its password is empty. Whether it is: nobody can sign in with it."""
        if not await has_empty_password(self._database, self._passwords):
            return False
        own = sa.select(admins.c.id).where(admins.c.name == FIXED_NAME).scalar_subquery()
        async with self._database.write() as connection:
            await connection.execute(sa.delete(sessions).where(sessions.c.admin_id == own))
        return True

    # ---- the first admin ------------------------------------------------------------------------

    async def setup_link(self, address: str) -> str:
        """A link that opens the panel with a token for ``create_first_owner``. It works once, for half an hour.

        Raises ``PermissionDenied`` when there is an admin already.
        """
        return f"{address}/admin/#setup={await self._setup_token()}"

    async def _setup_token(self) -> str:
        token = secrets.token_urlsafe(32)
        now = time.time()
        async with self._database.write() as connection:
            if await _count_admins(connection):
                raise PermissionDenied("There is an admin already: `filmgate admin reset-password NAME`.")
            known = [link for link in await _setup_links(connection) if link["expires_at"] > now]
            link = {"hash": self._vault.keyed_hash("admin-setup", token), "expires_at": now + SETUP_SECONDS}
            await connection.execute(sa.delete(options).where(options.c.name == SETUP_OPTION))
            value = json.dumps([*known, link][-MOST_LINKS:])
            row = {"name": SETUP_OPTION, "value": value, "updated_at": now}
            await connection.execute(sa.insert(options), row)
        return token

    async def create_first_owner(self, token: str, *, name: str, password: str) -> AdminUser:
        """Raises ``SetupInvalid`` for a token that is used, expired or unknown."""
        name = _checked_name(name)
        check_password(password, name=name)
        hashes = self._vault.keyed_hashes("admin-setup", token)
        await self._check_link(hashes)  # before the slow hash
        row = _admin_row(name, "owner", hashed=await self._passwords.hash(password))
        async with self._database.write() as connection:
            # The row of the links is locked first: the second of two parallel setups finds it empty.
            links = await _setup_links(connection, lock=True)
            if await _count_admins(connection) or not _is_valid_link(links, hashes):
                raise _setup_invalid()
            await connection.execute(sa.delete(options).where(options.c.name == SETUP_OPTION))
            await connection.execute(sa.insert(admins), row)
            await self._record_change(connection, name, "admin.created", row=row)
        return AdminUser(row["id"], name, "owner", row["created_at"])

    async def _check_link(self, hashes: Sequence[str]) -> None:
        async with self._database.read() as connection:
            if not _is_valid_link(await _setup_links(connection), hashes):
                raise _setup_invalid()

    async def _record_change(
        self, connection: AsyncConnection, actor: str, action: str, *, row: dict[str, Any]
    ) -> None:
        after = {"name": row["name"], "role": row["role"]}
        await self._audit.record(connection, actor, action, target=f"admins/{row['id']}", after=after)


async def has_empty_password(database: Database, passwords: PasswordHashing) -> bool:
    """Whether ``admin`` has an empty password: release 0.1.0 took ``FILMGATE_ADMIN_PASSWORD=`` for one."""
    async with database.read() as connection:
        query = sa.select(admins.c.password).where(admins.c.name == FIXED_NAME)
        hashed = (await connection.execute(query)).scalar()
    return hashed is not None and await passwords.is_empty(hashed)


def _setup_invalid() -> SetupInvalid:
    return SetupInvalid(
        "This setup link is used up or too old. `filmgate admin setup-link` prints a new one.", param="token"
    )


def _is_valid_link(links: list[dict[str, Any]], hashes: Sequence[str]) -> bool:
    return any(link["hash"] in hashes and link["expires_at"] > time.time() for link in links)


async def _setup_links(connection: AsyncConnection, *, lock: bool = False) -> list[dict[str, Any]]:
    query = sa.select(options.c.value).where(options.c.name == SETUP_OPTION)
    text = (await connection.execute(query.with_for_update() if lock else query)).scalar()
    links: list[dict[str, Any]] = json.loads(text) if text else []
    return links


async def _count_admins(connection: AsyncConnection) -> int:
    return int((await connection.execute(sa.select(sa.func.count()).select_from(admins))).scalar_one())


async def _get_admin(connection: AsyncConnection, admin_id: str) -> AdminUser:
    row = (await connection.execute(sa.select(admins).where(admins.c.id == admin_id))).first()
    if row is None:
        raise NotFound(f"No such admin: {admin_id[:100]}")
    return admin_of_row(row)


async def _require_other_owner(connection: AsyncConnection) -> None:
    # Locked, so that two owners cannot remove each other at the same time.
    owners = sa.select(admins.c.id).where(admins.c.role == "owner").with_for_update()
    if len((await connection.execute(owners)).all()) < 2:
        raise InvalidRequest(
            "The last owner must stay an owner; create another one first.", param="role", reason="last_owner"
        )


def _admin_row(name: str, role: AdminRole, *, hashed: str) -> dict[str, Any]:
    admin_id = uuid.uuid4().hex
    return {"id": admin_id, "name": name, "role": role, "password": hashed, "created_at": time.time()}


def _password_mark(password: str | None) -> dict[str, str]:
    return {} if password is None else {"changed": "password"}


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise MissingField("name")
    if len(name) > 80 or not name.isprintable():
        raise InvalidRequest("name must be at most 80 printable characters", param="name", reason="too_long")
    return name


def admin_of_row(row: Any) -> AdminUser:
    factor, provider = row.totp_secret is not None, row.subject is not None
    return AdminUser(row.id, row.name, row.role, row.created_at, factor, provider)
