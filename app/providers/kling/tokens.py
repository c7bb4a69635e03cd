"""Tokens that an access key signs with its secret key. https://kling.ai/document-api"""

import base64
import hashlib
import hmac
import json
from typing import Any

TOKEN_SECONDS = 1800
CLOCK_SLACK = 5


def signed_token(access: str, secret: str, *, now: float) -> str:
    """A JWT (HS256) that is valid from a few seconds before ``now`` (UTC seconds) for half an hour."""
    claims = {"iss": access, "exp": int(now) + TOKEN_SECONDS, "nbf": int(now) - CLOCK_SLACK}
    text = f"{_encode_part({'alg': 'HS256', 'typ': 'JWT'})}.{_encode_part(claims)}"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{_encode_base64(signature)}"


def _encode_part(claims: dict[str, Any]) -> str:
    return _encode_base64(json.dumps(claims, separators=(",", ":")).encode())


def _encode_base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
