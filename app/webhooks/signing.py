"""Standard Webhooks signatures (https://www.standardwebhooks.com): HMAC-SHA256 over id, time and body."""

import base64
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

from standardwebhooks import Webhook

from app.secret_rules import SIGNING_PREFIX


def encode_secret(key: bytes) -> str:
    """The key in the form that receivers configure: ``whsec_`` and base64."""
    return SIGNING_PREFIX + base64.b64encode(key).decode()


def new_secret() -> str:
    return encode_secret(secrets.token_bytes(32))


def signed_headers(delivery_id: str, body: bytes, *, valid: Iterable[str], now: float) -> dict[str, str]:
    """One signature for each of the ``valid`` secrets, newest first; without secrets no signature. ``now`` in UTC
    seconds.

    ``delivery_id`` is the same at every attempt, so that a receiver recognizes repetitions.
    """
    moment = datetime.fromtimestamp(int(now), UTC)
    signatures = [Webhook(secret).sign(delivery_id, moment, body.decode()) for secret in valid]
    return {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now)),
        **({"webhook-signature": " ".join(signatures)} if signatures else {}),
    }
