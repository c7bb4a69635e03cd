"""An OpenID Connect provider on loopback: discovery, keys, codes with PKCE, signed ID tokens; it can be told to lie."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID = "filmgate-panel"
CLIENT_SECRET = "a-secret-of-the-client-4711"
Claims = dict[str, Any]


@dataclass
class IdentityProvider:
    """``with IdentityProvider() as provider``; whoever comes is ``person``. What is set below happens at each sign-in."""

    person: Claims = field(default_factory=lambda: {"sub": "u-1", "preferred_username": "ada"})
    change_claims: Callable[[Claims], None] = lambda claims: None
    forge: str = ""
    """stranger: signed by another key of the same name; secret: by the client's secret; none: not at all."""
    groups_in_userinfo: bool = False
    is_down: bool = False
    shows_page: bool = False
    """A page with a button, as for people; else the browser is sent back at once."""
    host: str = "127.0.0.1"
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = RSAKey.generate_key(2048, parameters={"kid": "k1"})
        self.codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._answer(self, b"")

            def do_POST(self) -> None:
                provider._answer(self, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, *words: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://{self.host}:{self.server.server_port}/realm"

    def __enter__(self) -> "IdentityProvider":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def settings(self, **more: str) -> dict[str, str]:
        return {
            "FILMGATE_OIDC_ISSUER": self.issuer,
            "FILMGATE_OIDC_CLIENT_ID": CLIENT_ID,
            "FILMGATE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "FILMGATE_OIDC_NAME": "Example Login",
            "FILMGATE_OIDC_ROLES": "filmgate-owners=owner,finance-team=finance,everybody=viewer",
        } | more

    def rotate_key(self) -> None:
        self.key = RSAKey.generate_key(2048, parameters={"kid": f"k{secrets.token_hex(4)}"})

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        address = urlsplit(handler.path)
        self.requests.append(address.path)
        given = {name: values[0] for name, values in parse_qs(address.query or body.decode()).items()}
        pages: dict[str, Callable[[], tuple[int, Any]]] = {
            "/realm/.well-known/openid-configuration": self._metadata,
            "/realm/keys": lambda: (200, {"keys": [self.key.as_dict(private=False)]}),
            "/realm/authorize": lambda: self._authorize(given),
            "/realm/token": lambda: self._token(given, handler.headers["authorization"] or ""),
            "/realm/userinfo": lambda: self._userinfo(handler.headers["authorization"] or ""),
        }
        page = pages.get(address.path, lambda: (404, {"error": "not_found"}))
        status, answer = (503, {"error": "down"}) if self.is_down else page()
        if status == 303:
            handler.send_response(303)
            handler.send_header("location", answer)
            handler.send_header("content-length", "0")
            handler.end_headers()
            return
        content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        handler.send_response(status)
        handler.send_header("content-type", "text/html" if isinstance(answer, str) else "application/json")
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _metadata(self) -> tuple[int, Claims]:
        names = {
            "authorization": "authorize",
            "token": "token",
            "userinfo": "userinfo",
        }
        addresses = {f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in names.items()}
        return 200, {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"} | addresses

    def _authorize(self, given: dict[str, str]) -> tuple[int, str]:
        assert given["client_id"] == CLIENT_ID and given["response_type"] == "code", given
        assert given["code_challenge_method"] == "S256" and len(given["code_challenge"]) == 43, given
        assert "openid" in given["scope"].split() and given["state"] and given["nonce"], given
        code = secrets.token_urlsafe(16)
        self.codes[code] = given
        back = f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given['state']})}"
        if not self.shows_page:
            return 303, back
        return (
            200,
            f'<!doctype html><title>login</title><a id="go" href="{back.replace("&", "&amp;")}">Continue</a>',
        )

    def _token(self, given: dict[str, str], authorization: str) -> tuple[int, Claims]:
        asked = self.codes.pop(given.get("code", ""), None)
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if authorization != f"Basic {expected}":
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(given["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            asked is None
            or challenge != asked["code_challenge"]
            or given["redirect_uri"] != asked["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= self.person
        if self.groups_in_userinfo:
            claims.pop("groups", None)
        self.change_claims(claims)
        return 200, {"access_token": "access", "token_type": "Bearer", "id_token": self._sign(claims)}

    def _sign(self, claims: Claims) -> str:
        if self.forge == "none":
            parts = ({"alg": "none", "kid": self.key.kid}, claims)
            texts = [
                base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
            ]
            return f"{texts[0]}.{texts[1]}."
        if self.forge == "secret":
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET))
        key = self.key
        if self.forge == "stranger":
            key = RSAKey.generate_key(2048, parameters={"kid": str(self.key.kid)})
        return jwt.encode({"alg": "RS256", "kid": str(self.key.kid)}, claims, key)

    def _userinfo(self, authorization: str) -> tuple[int, Claims]:
        return (200, self.person) if authorization == "Bearer access" else (401, {"error": "invalid_token"})
