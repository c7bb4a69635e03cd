"""Access tokens for a Google service account: a signed claim, exchanged at the account's token address.

https://developers.google.com/identity/protocols/oauth2/service-account
"""

import asyncio
import base64
import json
import time
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import BaseModel, Field, ValidationError

from app.errors import (
    InvalidRequest,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnreachable,
)
from app.providers.http import UpstreamClient

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
TOKEN_SECONDS = 3600
FRESH_SECONDS = 120
"""A token with less left is replaced before it is used."""


class ServiceAccount(BaseModel):
    """The parts that are read of the JSON key of a service account."""

    client_email: str
    private_key: str = Field(repr=False)
    private_key_id: str = ""
    project_id: str = ""
    token_uri: str = TOKEN_URL


class TokenAnswer(BaseModel):
    access_token: str = Field(min_length=1, repr=False)
    expires_in: float = TOKEN_SECONDS


def read_service_account(secret: str) -> ServiceAccount:
    """Raises ``InvalidRequest``, which never repeats what it read."""
    try:
        return ServiceAccount.model_validate_json(secret)
    except ValidationError:
        text = "the secret must be the JSON of a Google service account, with client_email and private_key"
        raise InvalidRequest(text, param="secret") from None


@cache
def sample_service_account() -> str:
    """The JSON of a service account that does not exist."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    email = "sample@sample.iam.gserviceaccount.com"
    return json.dumps({"project_id": "sample", "client_email": email, "private_key": pem})


def token_address(account: ServiceAccount, override: str | None) -> str:
    """Where tokens come from: what the operator names, else Google's own hosts over TLS, else ``InvalidRequest``."""
    if override:
        return override
    parts = urlsplit(account.token_uri)
    if parts.scheme != "https" or not f".{parts.hostname or ''}".endswith(".googleapis.com"):
        raise InvalidRequest("token_uri must lead to https://…googleapis.com", param="secret")
    return account.token_uri


class AccessTokens:
    """Keeps one token and replaces it two minutes before it expires."""

    def __init__(
        self,
        account: ServiceAccount,
        address: str,
        *,
        http: UpstreamClient,
        scope: str = SCOPE,
        subject: str = "",
    ) -> None:
        """``subject``: the user of its domain for whom the account acts."""
        self._account = account
        self._scope, self._subject = scope, subject
        self._key = _private_key(account.private_key)
        parts = urlsplit(address)
        self._http = http.client_for(f"{parts.scheme}://{parts.netloc}")
        self._path = parts.path
        self._lock = asyncio.Lock()
        self._token, self._until = "", 0.0

    async def current_token(self) -> str:
        """Raises ``UpstreamAuthFailed`` or ``UpstreamUnreachable``: without a token, no request is sent."""
        async with self._lock:
            if time.time() > self._until - FRESH_SECONDS:
                await self._exchange_claim()
            return self._token

    def forget_token(self) -> None:
        """After a refusal of the token: get a new one next time."""
        self._until = 0.0

    async def _exchange_claim(self) -> None:
        now = time.time()
        claim = signed_claim(self._account, key=self._key, now=now, scope=self._scope, subject=self._subject)
        form = {"grant_type": GRANT, "assertion": claim}
        try:
            answer = await self._http.post_form(self._path, form, files=(), answer=TokenAnswer, encoded=True)
        except (UpstreamRejected, UpstreamAuthFailed) as error:
            raise UpstreamAuthFailed(
                f"no access token: {error.message.replace(claim, '[secret]')}"
            ) from error
        except UpstreamError as error:
            raise UpstreamUnreachable(
                f"no access token: {error.message}", retry_after=error.retry_after
            ) from error
        self._token = answer.body.access_token
        self._until = now + min(answer.body.expires_in, TOKEN_SECONDS)


def signed_claim(
    account: ServiceAccount, *, key: RSAPrivateKey, now: float, scope: str = SCOPE, subject: str = ""
) -> str:
    """A JWT (RS256) that is valid for an hour from ``now`` (UTC seconds)."""
    header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "scope": scope,
        "aud": TOKEN_URL,  # Google checks for this value, whichever address the claim is sent to
        "iat": int(now),
        "exp": int(now) + TOKEN_SECONDS,
    } | ({"sub": subject} if subject else {})
    text = f"{_encode_part(header)}.{_encode_part(claims)}"
    return f"{text}.{_encode_base64(key.sign(text.encode(), PKCS1v15(), SHA256()))}"


def _private_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidRequest("the private_key in the secret can't be read", param="secret") from None
    if not isinstance(key, RSAPrivateKey):
        raise InvalidRequest("the private_key in the secret must be an RSA key", param="secret")
    return key


def _encode_part(fields: dict[str, Any]) -> str:
    return _encode_base64(json.dumps(fields, separators=(",", ":")).encode())


def _encode_base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
