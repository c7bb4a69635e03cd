"""Standard Webhooks signatures: HMAC-SHA256 over id, time and body, with every secret that is valid now."""

import base64
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"


def encode_secret(key: bytes) -> str:
    """A secret in the form in which receivers configure it."""
    return PREFIX + base64.b64encode(key).decode()


def new_secret() -> str:
    return encode_secret(secrets.token_bytes(32))


def signed_headers(delivery_id: str, body: bytes, *, valid: Iterable[str], now: float) -> dict[str, str]:
    """``valid`` secrets, newest first: after a rotation the old one signs along; none: nothing is signed.
    ``now`` in UTC seconds.

    ``delivery_id`` stays the same over every attempt, so that a receiver can tell a repetition.
    """
    moment = datetime.fromtimestamp(int(now), UTC)
    signatures = [Webhook(secret).sign(delivery_id, moment, body.decode()) for secret in valid]
    return {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now)),
        **({"webhook-signature": " ".join(signatures)} if signatures else {}),
    }
