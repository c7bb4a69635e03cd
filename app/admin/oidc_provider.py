"""Asks an OpenID Connect provider who somebody is: discovery, authorization code with PKCE, and the check of the ID token.

Needs Authlib (``pip install filmgate[oidc]``), so it is loaded only where a provider is set.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import structlog
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from app.admin.oidc_options import Identity, OidcOptions, SignInAttempt
from app.admin.sign_in_errors import OidcRefused, OidcUnreachable
from app.foreign import read_json
from app.media.fetch import read_limited
from app.media.guard import OutboundGuard

log = structlog.get_logger()
PLAIN_JSON = {"accept": "application/json", "accept-encoding": "identity"}
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures by the provider's own key: never ``none``, nor one that the client secret makes."""
SECONDS = 10.0
FRESH_SECONDS = 3600.0
PAUSE_SECONDS = 5.0
"""After a failure, and between two looks for a new key: strangers can make us ask."""
LEEWAY_SECONDS = 60
MOST_BYTES = 1_000_000
TOO_LARGE = OidcUnreachable("The sign-in provider answered too much.")


class OidcProvider:
    """One provider. Its addresses are reached through the guard, as all that the operator has set."""

    def __init__(self, options: OidcOptions, guard: OutboundGuard) -> None:
        self.options = options
        self._client = httpx2.AsyncClient(
            transport=guard.http_transport(ports=None),
            trust_env=False,
            follow_redirects=False,
            timeout=SECONDS,
        )
        self._documents: dict[str, tuple[float, dict[str, Any]]] = {}
        self._failed_at = float("-inf")
        self._asking = asyncio.Lock()

    async def close(self) -> None:
        await self._client.aclose()

    async def authorization_address(self, attempt: SignInAttempt) -> str:
        metadata = await self._metadata()
        address: str = prepare_grant_uri(
            _endpoint(metadata, "authorization_endpoint"),
            client_id=self.options.client_id,
            response_type="code",
            redirect_uri=attempt.redirect_uri,
            scope=self.options.scopes,
            state=attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.verifier),
            code_challenge_method="S256",
        )
        return address

    async def identify(self, code: str, attempt: SignInAttempt) -> Identity:
        metadata = await self._metadata()
        tokens = await self._exchange(metadata, code, attempt)
        claims = await self._verified_claims(metadata, tokens, attempt)
        groups = groups_in(claims, self.options.role_claim)
        if groups is None and "userinfo_endpoint" in metadata and "access_token" in tokens:
            claims = await self._user_info(metadata, tokens, claims)
            groups = groups_in(claims, self.options.role_claim)
        names = (claims.get(name) for name in ("preferred_username", "email", "name"))
        name = next((text for text in names if isinstance(text, str) and text.strip()), str(claims["sub"]))
        return Identity(str(claims["sub"]), name, groups or frozenset())

    async def _exchange(
        self, metadata: Mapping[str, Any], code: str, attempt: SignInAttempt
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        auth = ClientAuth(self.options.client_id, self.options.client_secret, self._auth_method(metadata))
        headers = {**PLAIN_JSON, "content-type": "application/x-www-form-urlencoded"}
        address = _endpoint(metadata, "token_endpoint")
        address, headers, body = auth.prepare("POST", address, headers, str(httpx2.QueryParams(form)))
        return await self._ask("POST", address, headers=headers, content=body)

    def _auth_method(self, metadata: Mapping[str, Any]) -> str:
        if not self.options.client_secret:
            return "none"
        known = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return "client_secret_post" if "client_secret_basic" not in known else "client_secret_basic"

    async def _verified_claims(
        self, metadata: Mapping[str, Any], tokens: Mapping[str, Any], attempt: SignInAttempt
    ) -> dict[str, Any]:
        """The claims of the ID token, whose signature, issuer, audience, time and nonce are right."""
        keys = _endpoint(metadata, "jwks_uri")
        text = str(tokens.get("id_token") or "")
        try:
            token = await self._decode(text, keys)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": metadata["issuer"]},
                    "aud": {"essential": True, "value": self.options.client_id},
                },
                params={
                    "nonce": attempt.nonce,
                    "client_id": self.options.client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            claims.validate(leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _refusal(f"ID token: {type(error).__name__} {error}") from error
        return dict(claims)

    async def _decode(self, text: str, keys_address: str) -> jwt.Token:
        """Keys that are not known yet are looked for once more: providers change theirs."""
        for renewed in (False, True):
            keys = KeySet.import_key_set(await self._document(keys_address, renewed=renewed))  # type: ignore[arg-type]
            try:
                return jwt.decode(text, keys, algorithms=ALGORITHMS)
            except (JoseError, ValueError):
                if renewed:
                    raise
        raise AssertionError

    async def _user_info(
        self, metadata: Mapping[str, Any], tokens: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Some providers leave groups out of the ID token."""
        headers = {"authorization": f"Bearer {tokens['access_token']}", **PLAIN_JSON}
        info = await self._ask("GET", _endpoint(metadata, "userinfo_endpoint"), headers=headers)
        if info.get("sub") != claims["sub"]:
            raise _refusal("userinfo is about somebody else")
        return {**info, **claims}

    async def _metadata(self) -> dict[str, Any]:
        """Raises ``OidcUnreachable``, also when the document is that of another issuer."""
        metadata = await self._document(f"{self.options.issuer}/.well-known/openid-configuration")
        if str(metadata.get("issuer", "")).rstrip("/") != self.options.issuer:
            raise OidcUnreachable("The sign-in provider names another issuer than FILMGATE_OIDC_ISSUER.")
        return metadata

    async def _document(self, address: str, *, renewed: bool = False) -> dict[str, Any]:
        async with self._asking:
            fetched_at, document = self._documents.get(address, (float("-inf"), {}))
            now = time.monotonic()
            if now - fetched_at < (PAUSE_SECONDS if renewed else FRESH_SECONDS):
                return document
            if now - self._failed_at < PAUSE_SECONDS:
                raise OidcUnreachable("The sign-in provider could not be reached.")
            try:
                document = await self._ask("GET", address, headers=PLAIN_JSON)
            except OidcUnreachable:
                self._failed_at = time.monotonic()
                raise
            self._documents[address] = (time.monotonic(), document)
            return document

    async def _ask(self, method: str, address: str, **options: Any) -> dict[str, Any]:
        """The JSON object of an answer. Raises ``OidcRefused`` for an error of the provider, else ``OidcUnreachable``."""
        try:
            async with asyncio.timeout(SECONDS), self._client.stream(method, address, **options) as response:
                pieces = read_limited(response, limit=MOST_BYTES, too_large=TOO_LARGE)
                body = b"".join([piece async for piece in pieces])
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            log.warning("oidc.unreachable", url=address, error=str(error) or type(error).__name__)
            raise OidcUnreachable("The sign-in provider could not be reached.") from error
        try:
            document = read_json(body)
        except ValueError:
            document = None
        if response.status_code >= 500 or not isinstance(document, dict):
            log.warning("oidc.unreachable", url=address, status=response.status_code)
            raise OidcUnreachable("The sign-in provider did not answer as it should.")
        if response.status_code >= 400:
            raise _refusal(f"{response.status_code} {document.get('error', '')}")
        return document


def groups_in(claims: Mapping[str, Any], path: str) -> frozenset[str] | None:
    """The groups at a claim, which may lie in others (``realm_access.roles``); None where there is no such claim."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, str):
        return frozenset({found})
    return frozenset(text for text in found if isinstance(text, str)) if isinstance(found, list) else None


def _endpoint(metadata: Mapping[str, Any], name: str) -> str:
    """An https provider must not send anybody, nor our secret, to an address without TLS."""
    address = str(metadata.get(name) or "")
    scheme = str(metadata["issuer"]).partition("://")[0]
    if not address.startswith(("https://", f"{scheme}://")):
        raise OidcUnreachable(f"The sign-in provider has no usable {name}.")
    return address


def _refusal(reason: str) -> OidcRefused:
    log.warning("oidc.refused", reason=reason[:500])
    return OidcRefused("The sign-in provider's answer was refused; the log says why.")
