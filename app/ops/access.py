"""What is known of a request while it passes, and its one line in the log when its answer has ended.

A relayed call takes a third of a millisecond in all, and a line through the log's processors a tenth of that. So a line of
JSON is put together here, and the lines of one turn of the event loop are written at once.
"""

import asyncio
import json
import logging
import random
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import structlog
from starlette.types import Scope

from app.ops import logs
from app.providers.base import Account

log = structlog.get_logger()
EVENT = "request.answered"
REQUEST_ID = b"x-request-id"
SANE_ID = re.compile(rb"[!#-%(-;=?-\[\]-_a-~]{1,128}")
"""Of a client: one word of visible ASCII without what quotes or marks up a text, as logs end up on web pages."""
LONGEST_TEXT = 200
QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: only what went wrong there is worth a line."""
FAILED = 400
CLIENT_GONE = 499
"""The status of a request whose client disconnected before its answer, as nginx writes it."""
_quote = json.encoder.encode_basestring


@dataclass(slots=True)
class RequestNotes:
    """Ids of what a request concerns, written by whoever learns them; empty where it concerns none."""

    id: str = ""
    key_id: str = ""
    account_id: str = ""
    model: str = ""
    task_id: str = ""
    end_user: str | None = None
    """Whom the client asks for, as its body says. Never logged, as the tags are not."""
    tags: str | None = None
    """A JSON list: how the client labels its spending."""
    kind: str = ""
    """What is to be generated; empty for a relayed call."""
    provider: str = ""
    upstream_model: str = ""
    """Of a relayed call, as ``account_id``."""
    traceparent: str = ""
    """Where the request stands in its trace: the client's word, or our own span below it."""

    def note_upstream(self, account: Account, model: str) -> None:
        """Of a relayed call: where it was sent last."""
        self.account_id, self.provider, self.upstream_model = account.id, account.provider, model


def notes_of(scope: Scope) -> RequestNotes:
    """The notes of a request; empty ones where nobody keeps any."""
    state = scope.setdefault("state", {})
    notes: RequestNotes = state.get("notes") or state.setdefault("notes", RequestNotes())
    return notes


def name_request(scope: Scope, given: list[bytes]) -> RequestNotes:
    """Give the request an id: the client's own where it sent one that is sane, else a new one. ``given`` are its headers
    of that name; from here on there is exactly one, so that an upstream is told the same."""
    if len(given) == 1 and SANE_ID.fullmatch(given[0]):
        request_id = given[0].decode("ascii")
    else:
        request_id = f"req_{random.getrandbits(128):032x}"
        headers = (
            [header for header in scope["headers"] if header[0] != REQUEST_ID] if given else scope["headers"]
        )
        scope["headers"] = [*headers, (REQUEST_ID, request_id.encode())]
    notes = notes_of(scope)
    notes.id = request_id
    scope["state"]["request_id"] = request_id
    return notes


class LoggedFields(NamedTuple):
    """What a line says in words, beside its request's id."""

    method: str
    path: str
    client: str
    key: str
    model: str
    account: str
    task: str


class AccessLog:
    """Writes a line for each request. Call it on the event loop."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._start: str | None = None
        """What each line of this process begins with, as its number below a supervisor."""
        self._second, self._second_text = 0, ""

    def write(self, scope: Scope, notes: RequestNotes, *, status: int, seconds: float) -> None:
        output = logs.current_output()
        if output is None or not logging.root.isEnabledFor(logging.INFO):
            return
        if status < FAILED and scope["path"] in QUIET_PATHS and status:
            return
        client = scope.get("client")
        fields = LoggedFields(
            method=scope.get("method", "WEBSOCKET"),
            path=scope["path"][:LONGEST_TEXT],
            client=client[0] if client else "",
            key=notes.key_id,
            model=notes.model[:LONGEST_TEXT],
            account=notes.account_id,
            task=notes.task_id,
        )
        status, milliseconds = status or CLIENT_GONE, round(seconds * 1000, 1)
        if output.is_json:
            said = f'"request_id": {_quote(notes.id)}{_as_json(fields)}'
            self._add_line(f'{said}, "status": {status}, "ms": {milliseconds}}}\n')
        else:
            log.info(EVENT, request_id=notes.id, **_clean_fields(fields), status=status, ms=milliseconds)

    def _add_line(self, said: str) -> None:
        if self._start is None:
            process = structlog.contextvars.get_contextvars()
            self._start = json.dumps({"event": EVENT, "level": "info", **process})[:-1]
        self._lines.append(f'{self._start}, "timestamp": "{self._timestamp()}", {said}')
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_soon(self._write_lines)

    def _timestamp(self) -> str:
        """As in every line of the log. The text of a second is made once."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._second_text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{int((now - second) * 1e6):06d}Z"

    def _write_lines(self) -> None:
        lines, self._lines = self._lines, []
        output = logs.current_output()
        if output is not None:
            output.write_text("".join(lines))


def _clean_fields(fields: LoggedFields) -> dict[str, str]:
    """Those that say something. What a client chose has nothing in it that looks like a secret."""
    clean = fields._replace(path=logs.hide_secrets(fields.path), model=logs.hide_secrets(fields.model))
    return {name: text for name, text in clean._asdict().items() if text}


@lru_cache(maxsize=4096)
def _as_json(fields: LoggedFields) -> str:
    """Remembered, as a client says the same again and again."""
    return "".join([f', "{name}": {_quote(text)}' for name, text in _clean_fields(fields).items()])
