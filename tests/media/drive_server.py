"""Google Drive, as much of its API as an upload needs: it checks claims, ranges and tokens, and can misbehave."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import jwt
from aiohttp import web

from tests.upstream.vendors.google import AUDIENCE, EMAIL, private_key, secret_of

SCOPE = "https://www.googleapis.com/auth/drive"
UNIT = 256 * 1024
Fault = int | str


@dataclass
class Session:
    meta: dict[str, Any]
    size: int
    received: bytearray = field(default_factory=bytearray)
    file_id: str = ""


@dataclass
class Stored:
    meta: dict[str, Any]
    content: bytes
    shared: bool = False


class DriveServer:
    """``faults`` holds per step what goes wrong next: a status, ``break`` (half a piece arrives, and the line is
    cut), ``silent`` (all of it arrives, the answer does not), ``gone`` (the session is forgotten), ``stuck``."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, Stored] = {}
        self.sessions: dict[str, Session] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.always: dict[str, Fault] = {}
        self.steps: list[str] = []
        self.claims: list[dict[str, Any]] = []
        self.tokens = 0

    def options(self, **changed: Any) -> dict[str, Any]:
        """The section of the operator's document that leads here."""
        return {
            "enabled": True,
            "service_account": secret_of(AUDIENCE),
            "folder_id": "folder-1",
            "endpoint": self.url,
            "token_endpoint": f"{self.url}/token",
            "tries": 4,
        } | changed

    async def answer(self, request: web.Request) -> web.StreamResponse:
        step = self._step(request)
        body = await request.read()
        self.steps.append(step)
        waiting = self.faults.get(step)
        fault = waiting.pop(0) if waiting else self.always.get(step)
        if isinstance(fault, int):
            return self._refusal(fault)
        if step == "token":
            return self._token(body)
        if step not in ("put", "where") and not self._known(request):
            return self._refusal(401)
        return getattr(self, f"_{step}")(request, body, fault)

    def _step(self, request: web.Request) -> str:
        if request.path == "/token":
            return "token"
        if request.path.startswith("/session/"):
            return "where" if request.headers["content-range"].startswith("bytes */") else "put"
        if request.path == "/upload/drive/v3/files":
            return "begin"
        if request.path.endswith("/permissions"):
            return "share"
        if request.path.startswith("/view/"):
            return "view"
        return "find" if request.path == "/drive/v3/files" else "look"

    def _refusal(self, status: int) -> web.Response:
        reason = "rateLimitExceeded" if status == 429 else "insufficientPermissions"
        error = {"code": status, "message": "The simulator says no.", "errors": [{"reason": reason}]}
        return web.json_response({"error": error}, status=status, headers={"retry-after": "0"})

    def _token(self, body: bytes) -> web.Response:
        form = parse_qs(body.decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        key = private_key().public_key()
        claims = jwt.decode(form["assertion"][0], key, algorithms=["RS256"], audience=AUDIENCE)
        assert (claims["iss"], claims["scope"]) == (EMAIL, SCOPE)
        self.claims.append(claims)
        self.tokens += 1
        answer = {"access_token": f"ya29.{self.tokens}", "expires_in": 3600, "token_type": "Bearer"}
        return web.json_response(answer)

    def _known(self, request: web.Request) -> bool:
        return request.path.startswith("/view/") or (
            request.headers.get("authorization") == f"Bearer ya29.{self.tokens}"
        )

    def _find(self, request: web.Request, _body: bytes, _fault: object) -> web.Response:
        match = re.search(r"key='filmgate' and value='([^']+)'", request.query["q"])
        assert match
        found = [i for i, f in self.files.items() if f.meta["appProperties"]["filmgate"] == match[1]]
        return web.json_response({"files": [self._shown(i) for i in found]})

    def _look(self, request: web.Request, _body: bytes, _fault: object) -> web.Response:
        return web.json_response(self._shown(request.path.rsplit("/", 1)[1]))

    def _view(self, request: web.Request, _body: bytes, _fault: object) -> web.Response:
        stored = self.files[request.path.split("/")[2]]
        return web.Response(body=stored.content) if stored.shared else web.Response(status=403)

    def _share(self, request: web.Request, body: bytes, _fault: object) -> web.Response:
        assert json.loads(body) == {"role": "reader", "type": "anyone"}
        self.files[request.path.split("/")[-2]].shared = True
        return web.json_response({"id": "anyoneWithLink"})

    def _begin(self, request: web.Request, body: bytes, _fault: object) -> web.Response:
        assert request.query["uploadType"] == "resumable"
        assert request.query["supportsAllDrives"] == "true"
        name = f"s{len(self.sessions) + 1}"
        size = int(request.headers["x-upload-content-length"])
        meta = json.loads(body) | {"mimeType": request.headers["x-upload-content-type"]}
        self.sessions[name] = Session(meta, size)
        return web.Response(headers={"location": f"{self.url}/session/{name}"})

    def _where(self, request: web.Request, body: bytes, fault: object) -> web.StreamResponse:
        session = self.sessions.get(request.path.rsplit("/", 1)[1])
        if session is None or fault == "gone":
            return web.Response(status=404)
        assert not body
        assert request.headers["content-range"] == f"bytes */{session.size}"
        return self._progress(session)

    def _put(self, request: web.Request, body: bytes, fault: object) -> web.StreamResponse:
        assert "authorization" not in request.headers  # the address is the credential
        name = request.path.rsplit("/", 1)[1]
        if fault == "gone":
            self.sessions.pop(name, None)
        session = self.sessions.get(name)
        if session is None:
            return web.Response(status=404)
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.headers["content-range"])
        assert match
        start, end, size = (int(part) for part in match.groups())
        assert (start, end - start + 1, size) == (len(session.received), len(body), session.size)
        assert len(body) % UNIT == 0 or end + 1 == size
        if fault == "stuck":
            return self._progress(session)
        session.received += body[: len(body) // 2 // UNIT * UNIT] if fault == "break" else body
        if fault in ("break", "silent"):
            self._finish(session)
            assert request.transport
            request.transport.abort()
        return self._progress(session)

    def _finish(self, session: Session) -> None:
        if len(session.received) == session.size and not session.file_id:
            session.file_id = f"file-{len(self.files) + 1}"
            self.files[session.file_id] = Stored(session.meta, bytes(session.received))

    def _progress(self, session: Session) -> web.Response:
        self._finish(session)
        if session.file_id:
            return web.json_response({"id": session.file_id})
        got = len(session.received)
        return web.Response(status=308, headers={"range": f"bytes=0-{got - 1}"} if got else {})

    def _shown(self, file_id: str) -> dict[str, str]:
        link = f"{self.url}/view/{file_id}"
        return {"id": file_id, "webViewLink": f"{link}/view", "webContentLink": f"{link}/download"}
