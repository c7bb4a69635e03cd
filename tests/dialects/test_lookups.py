"""A GET by name goes past the framework; everything else at the same addresses goes to it."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from app.ops.edge import FastPath, lookup_key

PATTERN = "/v1/videos/{name}"


class Answering:
    """Answers with one word."""

    def __init__(self, word: str) -> None:
        self._word = word

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(self._word)(scope, receive, send)


@pytest.mark.parametrize(
    ("method", "path", "word"),
    [
        ("GET", "/v1/videos/video_1", "lookup"),
        ("GET", "/v1/videos/generate", "lookup"),
        ("GET", "/v1/videos/", "framework"),
        ("GET", "/v1/videos", "framework"),
        ("GET", "/v1/videos/video_1/content", "framework"),
        ("GET", "/v1/images/video_1", "framework"),
        ("HEAD", "/v1/videos/video_1", "framework"),
        ("DELETE", "/v1/videos/video_1", "framework"),
        ("POST", "/v1/videos/video_1", "framework"),
    ],
)
async def test_where_a_request_goes(method: str, path: str, word: str) -> None:
    lookups = {lookup_key(PATTERN): Route(PATTERN, Answering("lookup"))}
    app = FastPath(Answering("framework"), routes={}, lookups=lookups, layers=lambda inner: inner)
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": []}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent[1]["body"].decode() == word
    assert getattr(scope.get("route"), "path", None) == (PATTERN if word == "lookup" else None)
