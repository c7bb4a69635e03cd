"""Addresses that clients come by when their base URL is typed wrong: put right where it is clear what was meant.

Base URLs end with a slash or without ``/v1``, or have it twice, because some clients add it and some do not.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

USUAL = re.compile(r"/(?!(?:api/)?v1/(?:v1|v2|api|sora)/)(?:[^/]+/)*[^/]+")
"""No empty part, and no version twice."""
DOUBLED = re.compile(r"^/(?:v1/|api/v1/)+(?=(?:v1|api/v1|v2|sora/v1)/)")
VERSION = re.compile(r"^/(?:V1|V2|API/V1|Api/v1)(?=/)")
UNVERSIONED = frozenset(
    {"audio", "chat", "completions", "embeddings", "images", "messages", "models", "moderations", "realtime",
     "rerank", "responses", "tasks", "videos"}
)  # fmt: skip
"""The first parts of addresses below ``/v1`` that stand nowhere else."""
HINT = "The base URL of OpenAI clients is this server's address with /v1, of Anthropic clients without."


def repaired_path(path: str) -> str:
    """The path that was meant; the same where nothing is clear."""
    if USUAL.fullmatch(path) and path[1:].partition("/")[0] not in UNVERSIONED and not VERSION.match(path):
        return path
    plain = re.sub(r"//+", "/", path)
    if plain.startswith(("/admin", "/docs", "/metrics", "/my/")):
        return path  # not for clients: other layers know these by their address
    plain = plain.rstrip("/") or "/"
    plain = VERSION.sub(lambda found: found[0].lower(), plain)
    plain = DOUBLED.sub("/", plain)
    return f"/v1{plain}" if plain[1:].partition("/")[0] in UNVERSIONED else plain


class AddressRepair:
    """Innermost middleware, so that calls on the fast path do not pass it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            path = repaired_path(scope["path"])
            if path != scope["path"]:  # in place: the layers around count by the route that is found
                scope.update(path=path, raw_path=path.encode())
        await self._app(scope, receive, send)
