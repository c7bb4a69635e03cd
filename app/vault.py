"""The root key, one derived key per purpose, and sealed secrets (AES-GCM bound to their row).

After a change of the root key the old ones still open what was made under them; what is new is made under the new one.
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
        """``reread`` looks again which roots there are, the current one first."""
        self._roots = _distinct([root, *old])
        self._reread = reread

    @classmethod
    def open(cls, *, secret_key: str | None, data_dir: Path, old_secrets: Sequence[str] = ()) -> "Vault":
        """Use the given root, or the one in the data directory, made on first use (file mode 0600)."""

        def roots() -> list[bytes]:
            current = _root_of(secret_key) if secret_key else root_file.read_or_make(data_dir)
            return [current, *map(_root_of, old_secrets), *root_file.read_old(data_dir)]

        current, *old = roots()
        return cls(current, old=old, reread=roots)

    @property
    def has_old(self) -> bool:
        return len(self._roots) > 1

    @property
    def fingerprint(self) -> str:
        """Tells current roots apart, and nothing about them."""
        return self.digest("root-fingerprint", VERSION)[:16]

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose, e.g. ``client-key-hash``."""
        return _derived(self._roots[0], purpose)

    def derive_all(self, purpose: str) -> list[bytes]:
        """The same under every root, the current one first."""
        return [_derived(root, purpose) for root in self._roots]

    def digest(self, purpose: str, value: str) -> str:
        """Keyed hash (HMAC-SHA256, hex) of a high-entropy secret."""
        return _digest(self.derive(purpose), value)

    def digests(self, purpose: str, value: str) -> list[str]:
        """The same under every root, the current one first: by which of them it may be known."""
        return [_digest(key, value) for key in self.derive_all(purpose)]

    def seal(self, value: str, *, place: str) -> str:
        """Encrypt; ``place`` (say ``accounts/<id>``) must be given again to open it."""
        nonce = os.urandom(12)
        box = AESGCM(self.derive("sealed")).encrypt(nonce, value.encode(), place.encode())
        return f"{VERSION}.{base64.urlsafe_b64encode(nonce + box).decode()}"

    def unseal(self, value: str, *, place: str) -> str:
        """Raises ``SettingsInvalid`` when the root key is another one, or the value was moved."""
        return self._opened(value, place)[0]

    def reseal(self, value: str, *, place: str) -> str:
        """The value under the current root: itself when it is already. Raises as ``unseal``."""
        text, root = self._opened(value, place)
        return value if root == self._roots[0] else self.seal(text, place=place)

    def _opened(self, value: str, place: str) -> tuple[str, bytes]:
        found = _try(self._roots, value, place)
        if found is None and self._reread is not None:
            # The root key may have been changed since this process began.
            self._roots = _distinct(self._reread())
            found = _try(self._roots, value, place)
        if found is None:
            raise SettingsInvalid(
                f"The secret of {place} can't be opened with this root key. Restore the root.key that "
                "belongs to this database (or FILMGATE_SECRET_KEY), or enter the secret again."
            )
        return found


def _try(roots: Sequence[bytes], value: str, place: str) -> tuple[str, bytes] | None:
    """What is in it, and the root that opens it."""
    for root in roots:
        try:
            raw = base64.urlsafe_b64decode(value.removeprefix(f"{VERSION}."))
            text = AESGCM(_derived(root, "sealed")).decrypt(raw[:12], raw[12:], place.encode()).decode()
        except (InvalidTag, ValueError):
            continue
        return text, root
    return None


def _root_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _derived(root: bytes, purpose: str) -> bytes:
    info = f"filmgate/{VERSION}/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(root)


def _digest(key: bytes, value: str) -> str:
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


def _distinct(roots: Sequence[bytes]) -> list[bytes]:
    return list(dict.fromkeys(roots))
