"""Links to stored files: signed by us, or made by a delivery stage. They open one file without a key until they expire."""

import base64
import hmac
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.errors import PermissionDenied, ResourceExpired

Stage = Literal["resolver", "store", "drive"]
# A link must stay valid for so long after it was sent.
FRESH_SECONDS = 60.0


class LinkSigner:
    """Signs paths like ``/files/<task id>/<file name>`` with HMAC-SHA-256."""

    def __init__(self, keys: Sequence[bytes], ttl_seconds: float) -> None:
        """The first key signs. Signatures by any of the keys are valid."""
        self._keys = keys
        self._ttl_seconds = ttl_seconds

    def sign(self, path: str, *, now: float) -> str:
        """The path with ``expires`` and ``signature`` added. ``now`` is in seconds since 1970."""
        expires = int(now + self._ttl_seconds)
        return f"{path}?expires={expires}&signature={_sign_path(self._keys[0], path, str(expires))}"

    def verify(self, path: str, expires: str, signature: str, *, now: float) -> None:
        """Raises ``PermissionDenied`` for a wrong signature, ``ResourceExpired`` for one that has expired."""
        given = signature.encode("utf-8", "replace")
        if not any(hmac.compare_digest(_sign_path(key, path, expires).encode(), given) for key in self._keys):
            raise PermissionDenied("This link is not valid.")
        if now >= int(expires):
            raise ResourceExpired("This link has expired.")


def _sign_path(key: bytes, path: str, expires: str) -> str:
    message = f"{path}\n{expires}".encode("utf-8", "replace")
    digest = hmac.digest(key, message, "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class DeliveredLink(BaseModel):
    """A link to one stored file, made by a delivery stage. ``expires_at`` in UTC seconds; None: never."""

    model_config = ConfigDict(frozen=True)

    kind: Stage
    file: str
    """The name of the stored file."""
    url: str
    expires_at: float | None = None


def pick_link(links: Iterable[DeliveredLink], file: str, *, now: float) -> str | None:
    """The valid link of the last stage for a file; None: use our own signed link."""
    good = [
        link.url
        for link in links
        if link.file == file and (link.expires_at is None or link.expires_at - FRESH_SECONDS > now)
    ]
    return good[-1] if good else None
