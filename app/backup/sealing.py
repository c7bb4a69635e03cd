"""Seals the secrets of a backup with the root key, or with a passphrase that works in any gateway."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.errors import InvalidRequest, SettingsInvalid
from app.secret_rules import is_blank
from app.vault import Vault

Seal = Literal["none", "root_key", "passphrase"]
MIN_PASSPHRASE_LENGTH = 12
SALT_BYTES = 16
# scrypt: 64 MB and a tenth of a second for every guess.
COST, BLOCK, MEMORY = 2**16, 8, 80 * 1024 * 1024
CHECK_TEXT = "filmgate"


@dataclass(frozen=True, slots=True)
class SecretBox:
    """Seals and unseals secrets. Each is bound to its ``place``, so it can't be moved to another entry."""

    seal_name: Seal
    vault: Vault
    salt: bytes = b""

    def seal(self, text: str, *, place: str) -> str:
        return self.vault.seal(text, place=f"backup/{place}")

    def open(self, text: str, *, place: str) -> str:
        return self.vault.unseal(text, place=f"backup/{place}")

    def secrets_heading(self) -> dict[str, Any]:
        """The backup's ``secrets`` field: how it is sealed, and a ``check`` text to detect a wrong key early."""
        salted = {"salt": base64.b64encode(self.salt).decode()} if self.salt else {}
        return {"sealed_with": self.seal_name, **salted, "check": self.seal(CHECK_TEXT, place="check")}


async def new_box(vault: Vault, passphrase: str) -> SecretBox:
    """Raises ``InvalidRequest`` for a passphrase that is too short."""
    if not passphrase:
        return SecretBox("root_key", vault)
    if is_blank(passphrase) or len(passphrase) < MIN_PASSPHRASE_LENGTH:
        text = f"passphrase must have at least {MIN_PASSPHRASE_LENGTH} characters"
        raise InvalidRequest(text, param="passphrase")
    salt = secrets.token_bytes(SALT_BYTES)
    return SecretBox("passphrase", await _derive_vault(passphrase, salt), salt)


async def box_of(heading: Mapping[str, Any], vault: Vault, passphrase: str) -> SecretBox:
    """The box that unseals a backup. Raises ``InvalidRequest`` when key or passphrase don't fit."""
    box = SecretBox("root_key", vault)
    refusal = "Its secrets are sealed with the root key of another gateway: restore that root.key first."
    if heading.get("sealed_with") == "passphrase":
        if not passphrase:
            raise InvalidRequest(
                "Its secrets are sealed with a passphrase: enter it as well.", param="passphrase"
            )
        refusal = "This passphrase does not open the backup."
        box = SecretBox("passphrase", await _derive_vault(passphrase, _read_salt(heading)))
    try:
        box.open(str(heading.get("check", "")), place="check")
    except SettingsInvalid as error:
        raise InvalidRequest(refusal, param="passphrase") from error
    return box


def _read_salt(heading: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(str(heading.get("salt", "")), validate=True)
    except ValueError as error:
        raise InvalidRequest("secrets.salt is damaged", param="secrets.salt") from error


async def _derive_vault(passphrase: str, salt: bytes) -> Vault:
    def derive_key() -> bytes:
        text = passphrase.encode()
        return hashlib.scrypt(text, salt=salt, n=COST, r=BLOCK, p=1, maxmem=MEMORY, dklen=32)

    return Vault(await asyncio.to_thread(derive_key))
