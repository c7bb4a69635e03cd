"""The base of Google's simulators: its error form, and a token endpoint that checks a service account's claim."""

import json
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.upstream.vendors.front import ScriptedServer

AUDIENCE = "https://oauth2.googleapis.com/token"
EMAIL = "films@project-1.iam.gserviceaccount.com"


@cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account_json(token_uri: str, **changed: Any) -> dict[str, Any]:
    """A service account's JSON, as the console gives it out."""
    pem = private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "type": "service_account", "project_id": "project-1", "private_key_id": "key-1", "private_key": pem,
        "client_email": EMAIL, "client_id": "1", "token_uri": token_uri, **changed,
    }  # fmt: skip


def secret_of(token_uri: str, **changed: Any) -> str:
    return json.dumps(service_account_json(token_uri, **changed))


def error_response(status: int, word: str, message: str, **reason: str) -> Response:
    error: dict[str, Any] = {"code": status, "message": message, "status": word}
    if reason:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **reason}]
    return JSONResponse({"error": error}, status)


class TokenServer(ScriptedServer):
    """``tokens`` counts the issued tokens; only the newest is valid."""

    refuse_token: tuple[int, Any] | None = None
    only_token: str | None = None

    def reset(self) -> None:
        super().reset()
        self.refuse_token = None
        self.lasts = 3600

    async def exchange_claim(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        if self.refuse_token:
            return JSONResponse(self.refuse_token[1], self.refuse_token[0])
        if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        try:
            key = private_key().public_key()
            claims = jwt.decode(form["assertion"][0], key, algorithms=["RS256"], audience=AUDIENCE)
        except (jwt.PyJWTError, KeyError) as error:
            return JSONResponse({"error": "invalid_grant", "error_description": str(error)}, 400)
        if claims.get("iss") != EMAIL or "cloud-platform" not in claims.get("scope", ""):
            return JSONResponse({"error": "invalid_scope"}, 400)
        self.counts["token"] += 1
        return JSONResponse(
            {"access_token": self.good_token, "expires_in": self.lasts, "token_type": "Bearer"}
        )

    @property
    def good_token(self) -> str:
        return self.only_token or f"ya29.token-{self.counts['token']:04d}"

    def auth_error(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token != self.good_token or (self.keys is not None and token not in self.keys):
            return error_response(401, "UNAUTHENTICATED", f"Request had invalid credentials: {token}")
        return None
