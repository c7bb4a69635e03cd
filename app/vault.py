"""The root key, one derived key per purpose, and sealed secrets (AES-GCM bound to their row).

After a change of the root key, the old keys still open what was sealed with them. New values use the new key.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app import root_file
from app.errors import SettingsInvalid

VERSION = "v1"


class Vault:
    """Derives keys from one root; two purposes never share a key."""

    def __init__(
        self, root: bytes, *, old: Sequence[bytes] = (), reread: Callable[[], list[bytes]] | None = None
    ) -> None:
        """``reread`` returns the roots that exist now, the current one first."""
        self._roots = _unique_roots([root, *old])
        self._reread = reread

    @classmethod
    def open(cls, *, secret_key: str | None, data_dir: Path, old_secrets: Sequence[str] = ()) -> "Vault":
        """Use ``secret_key``, or the key file in the data directory, which is created on first use (mode 0600)."""

        def load_roots() -> list[bytes]:
            current = root_of_secret(secret_key) if secret_key else root_file.read_or_create(data_dir)
            return [current, *map(root_of_secret, old_secrets), *root_file.read_old(data_dir)]

        current, *old = load_roots()
        return cls(current, old=old, reread=load_roots)

    @property
    def has_old_roots(self) -> bool:
        return len(self._roots) > 1

    @property
    def root_fingerprint(self) -> str:
        """An identifier of the current root that reveals nothing about it."""
        return self.keyed_hash("root-fingerprint", VERSION)[:16]

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The root keys themselves, the current one first: for a sealed copy, and nothing else."""
        return tuple(self._roots)

    def derive_key(self, purpose: str) -> bytes:
        """32 bytes for one purpose, e.g. ``client-key-hash``."""
        return _derive_key(self._roots[0], purpose)

    def derive_keys(self, purpose: str) -> list[bytes]:
        """The key for ``purpose`` under every root, the current one first."""
        return [_derive_key(root, purpose) for root in self._roots]

    def keyed_hash(self, purpose: str, value: str) -> str:
        """Keyed hash (HMAC-SHA256, hex) of a high-entropy secret."""
        return _hmac_hex(self.derive_key(purpose), value)

    def keyed_hashes(self, purpose: str, value: str) -> list[str]:
        """The keyed hash under every root, the current one first: a stored hash equals one of them."""
        return [_hmac_hex(key, value) for key in self.derive_keys(purpose)]

    def seal(self, value: str, *, place: str) -> str:
        """Encrypt. The same ``place`` (such as ``accounts/<id>``) is needed to open the value."""
        nonce = os.urandom(12)
        box = AESGCM(self.derive_key("sealed")).encrypt(nonce, value.encode(), place.encode())
        return f"{VERSION}.{base64.urlsafe_b64encode(nonce + box).decode()}"

    def unseal(self, value: str, *, place: str) -> str:
        """Decrypt. Raises ``SettingsInvalid`` when no root opens the value, or it was sealed for another place."""
        return self._open_sealed(value, place)[0]

    def reseal(self, value: str, *, place: str) -> str:
        """Seal the value with the current root; unchanged if it already is. Raises as ``unseal``."""
        text, root = self._open_sealed(value, place)
        return value if root == self._roots[0] else self.seal(text, place=place)

    def _open_sealed(self, value: str, place: str) -> tuple[str, bytes]:
        opened = _try_roots(self._roots, value, place)
        if opened is None and self._reread is not None:
            # The root key may have been changed since this process began.
            self._roots = _unique_roots(self._reread())
            opened = _try_roots(self._roots, value, place)
        if opened is None:
            raise SettingsInvalid(
                f"The secret of {place} can't be opened with this root key. Restore the root.key that "
                "belongs to this database (or FILMGATE_SECRET_KEY), or enter the secret again."
            )
        return opened


def _try_roots(roots: Sequence[bytes], value: str, place: str) -> tuple[str, bytes] | None:
    """The plain text and the root that opens it; None when no root does."""
    for root in roots:
        try:
            raw = base64.urlsafe_b64decode(value.removeprefix(f"{VERSION}."))
            text = AESGCM(_derive_key(root, "sealed")).decrypt(raw[:12], raw[12:], place.encode()).decode()
        except (InvalidTag, ValueError):
            continue
        return text, root
    return None


def root_of_secret(secret: str) -> bytes:
    """The root key that ``FILMGATE_SECRET_KEY`` stands for."""
    return hashlib.sha256(secret.encode()).digest()


def _derive_key(root: bytes, purpose: str) -> bytes:
    info = f"filmgate/{VERSION}/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(root)


def _hmac_hex(key: bytes, value: str) -> str:
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


def _unique_roots(roots: Sequence[bytes]) -> list[bytes]:
    return list(dict.fromkeys(roots))


# A sealed value opens only at the place that it was sealed for. These are all places.


def account_secret_place(account_id: str) -> str:
    return f"accounts/{account_id}"


def account_proxy_place(account_id: str) -> str:
    return f"accounts/{account_id}/proxy"


def webhook_secret_place(endpoint_id: str) -> str:
    return f"webhook_endpoints/{endpoint_id}"


def admin_totp_place(admin_id: str) -> str:
    return f"admins/{admin_id}/totp"


OIDC_ATTEMPT_PLACE = "oidc/attempt"
"""For what a browser carries to the sign-in provider and back."""


def project_secret_place(project_id: str) -> str:
    return f"projects/{project_id}/credit_secret"


def options_document_place(name: str) -> str:
    """For every secret in one options document."""
    return f"options/{name}"
