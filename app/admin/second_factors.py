"""The second factor of admins: codes of an authenticator app (RFC 6238), and recovery codes for when it is lost."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field

import pyotp
import sqlalchemy as sa

from app.admin.admin_repository import AdminUser
from app.admin.audit_log import AuditLog
from app.db.connection import AsyncConnection
from app.db.operator_tables import admins, recovery_codes, sessions
from app.db.session import Database
from app.errors import InvalidRequest, SettingsInvalid
from app.vault import Vault, admin_totp_place

ISSUER = "Filmgate"
DRIFT = 1
"""Steps of 30 seconds by which the clock of a phone may be off."""
SETUP_SECONDS = 900.0
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
"""80 random bits: too many to guess from the stored hash, which needs no salt or slow function then."""


@dataclass(frozen=True, slots=True)
class FactorOffer:
    """A new secret that is not in use yet. ``ticket`` holds it sealed, for ``turn_on``; ``uri`` is for an app."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    ticket: str = field(repr=False)


class SecondFactors:
    """Reads and changes the second factors. The audit row of a change is written in the transaction of the change."""

    def __init__(self, database: Database, vault: Vault, *, audit: AuditLog) -> None:
        self._database = database
        self._vault = vault
        self._audit = audit

    def offer_secret(self, admin: AdminUser) -> FactorOffer:
        """Raises ``InvalidRequest`` for who signs in through a provider."""
        if admin.from_provider:
            raise InvalidRequest("Your sign-in provider asks for the second factor; turn it on there.")
        secret = pyotp.random_base32()
        content = json.dumps({"secret": secret, "until": time.time() + SETUP_SECONDS})
        ticket = self._vault.seal(content, place=_offer_place(admin.id))
        uri = pyotp.TOTP(secret).provisioning_uri(name=admin.name, issuer_name=ISSUER)
        return FactorOffer(secret, uri, ticket)

    async def turn_on(self, admin: AdminUser, ticket: str, *, code: str, session_id: str) -> list[str]:
        """Take the offered secret into use; returns the recovery codes. All other sessions of the admin end.

        Raises ``InvalidRequest`` for a wrong code, and for an offer that is too old.
        """
        secret = self._offered_secret(admin.id, ticket)
        step = _matching_step(secret, _plain_code(code))
        if step is None:
            raise InvalidRequest("This code is wrong. Is the clock of the phone right?", param="code")
        sealed = self._vault.seal(secret, place=admin_totp_place(admin.id))
        change = sa.update(admins).where(admins.c.id == admin.id).values(totp_secret=sealed, totp_step=step)
        others = sa.delete(sessions).where(sessions.c.admin_id == admin.id, sessions.c.id != session_id)
        async with self._database.write() as connection:
            await connection.execute(change)
            await connection.execute(others)
            codes = await _replace_codes(connection, admin.id)
            await self._record(connection, admin.name, "admin.second_factor_on", admin=admin)
        return codes

    async def accept_code(self, admin: AdminUser, code: str) -> bool:
        """Whether this is a code of the admin's app or a recovery code. It is used up then."""
        plain = _plain_code(code)
        if len(plain) != 6 or not plain.isdigit():
            return await self._use_recovery_code(admin, plain)
        query = sa.select(admins.c.totp_secret).where(admins.c.id == admin.id)
        async with self._database.read() as connection:
            sealed = (await connection.execute(query)).scalar()
        if sealed is None:
            return False
        step = _matching_step(self._vault.unseal(sealed, place=admin_totp_place(admin.id)), plain)
        if step is None:
            return False
        # Of two requests with the same code, one finds the step taken.
        unused = sa.or_(admins.c.totp_step.is_(None), admins.c.totp_step < step)
        take = sa.update(admins).where(admins.c.id == admin.id, admins.c.totp_secret == sealed, unused)
        async with self._database.write() as connection:
            return (await connection.execute(take.values(totp_step=step))).rowcount == 1

    async def count_codes(self, admin_id: str) -> int:
        """How many recovery codes are left."""
        query = sa.select(sa.func.count()).where(recovery_codes.c.admin_id == admin_id)
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def renew_codes(self, admin: AdminUser) -> list[str]:
        """New recovery codes; those of before are worth nothing any more. Raises ``InvalidRequest``."""
        if not admin.second_factor:
            raise InvalidRequest("This admin has no second factor.")
        async with self._database.write() as connection:
            codes = await _replace_codes(connection, admin.id)
            await self._record(connection, admin.name, "admin.recovery_codes_renewed", admin=admin)
        return codes

    async def turn_off(self, actor: str, admin: AdminUser) -> None:
        """Raises ``InvalidRequest`` when there is none."""
        if not admin.second_factor:
            raise InvalidRequest(f"{admin.name} has no second factor.")
        change = sa.update(admins).where(admins.c.id == admin.id).values(totp_secret=None, totp_step=None)
        async with self._database.write() as connection:
            await connection.execute(change)
            await connection.execute(sa.delete(recovery_codes).where(recovery_codes.c.admin_id == admin.id))
            await self._record(connection, actor, "admin.second_factor_off", admin=admin)

    async def _use_recovery_code(self, admin: AdminUser, plain: str) -> bool:
        own = recovery_codes.c.admin_id == admin.id, recovery_codes.c.hash == _code_hash(admin.id, plain)
        async with self._database.write() as connection:
            if (await connection.execute(sa.delete(recovery_codes).where(*own))).rowcount != 1:
                return False
            await self._record(connection, admin.name, "admin.recovery_code_used", admin=admin)
        return True

    def _offered_secret(self, admin_id: str, ticket: str) -> str:
        try:
            offer = json.loads(self._vault.unseal(ticket, place=_offer_place(admin_id)))
        except SettingsInvalid:
            offer = {"until": 0.0}
        if offer["until"] < time.time():
            raise InvalidRequest("This QR code is too old; begin again.", param="ticket")
        return str(offer["secret"])

    async def _record(
        self, connection: AsyncConnection, actor: str, action: str, *, admin: AdminUser
    ) -> None:
        await self._audit.record(
            connection, actor, action, target=f"admins/{admin.id}", after={"name": admin.name}
        )


async def _replace_codes(connection: AsyncConnection, admin_id: str) -> list[str]:
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    await connection.execute(sa.delete(recovery_codes).where(recovery_codes.c.admin_id == admin_id))
    rows = [{"admin_id": admin_id, "hash": _code_hash(admin_id, _plain_code(code))} for code in codes]
    await connection.execute(sa.insert(recovery_codes), rows)
    return codes


def _new_code() -> str:
    text = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _plain_code(code: str) -> str:
    """As people type it: with spaces, dashes and capitals, or without."""
    return "".join(letter for letter in code.lower() if letter not in " -")[:64]


def _code_hash(admin_id: str, plain: str) -> str:
    """Without the root key, so that the codes on paper outlive its change."""
    return hashlib.sha256(f"{admin_id} {plain}".encode("utf-8", "replace")).hexdigest()


def _matching_step(secret: str, plain: str) -> int | None:
    """The time step that a code belongs to; None for a wrong one."""
    totp = pyotp.TOTP(secret)
    now = int(time.time() // totp.interval)
    steps = range(now - DRIFT, now + DRIFT + 1)
    return next((step for step in steps if _is_same(totp.generate_otp(step), plain)), None)


def _is_same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def _offer_place(admin_id: str) -> str:
    return f"{admin_totp_place(admin_id)}/offer"
