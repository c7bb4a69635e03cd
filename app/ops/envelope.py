"""How errors are written: the gateway's own envelope, other clients' envelopes by path, and headers for SDKs."""

import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from app.errors import FilmgateError, PayloadTooLarge, RangeNotSatisfiable
from app.providers.event_stream import write_event


class ErrorEnvelope:
    """The gateway's own envelope, which is OpenAI's. Clients of another API read a subclass of it."""

    event_name: ClassVar[str] = ""
    """The name of an error event inside a stream. OpenAI's SDKs want events without a name."""
    request_id_header: ClassVar[str] = ""
    """A header for the request id beside ``x-request-id``, for SDKs that look there."""

    def error_body(self, error: FilmgateError, *, request_id: str = "") -> dict[str, Any]:
        """``request_id`` is empty inside a stream."""
        fields = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
        return {"error": fields}

    def error_bytes(self, error: FilmgateError, *, request_id: str = "") -> bytes:
        return json.dumps(self.error_body(error, request_id=request_id), ensure_ascii=False).encode()

    def error_event(self, error: FilmgateError) -> bytes:
        """The error as a server-sent event."""
        return write_event(self.error_bytes(error), name=self.event_name)


class PanelEnvelope(ErrorEnvelope):
    """With the reason, for which the panel has words in the operator's language."""

    def error_body(self, error: FilmgateError, *, request_id: str = "") -> dict[str, Any]:
        body = super().error_body(error, request_id=request_id)
        return {"error": body["error"] | {"reason": error.reason}} if error.reason else body


OWN_ENVELOPE = ErrorEnvelope()


class EnvelopesByPath:
    """The envelope that the clients of a path read, found by how the path begins; else the gateway's own."""

    def __init__(self, by_prefix: Mapping[str, ErrorEnvelope] | None = None) -> None:
        self._by_prefix = tuple((by_prefix or {}).items())

    def envelope_for(self, path: str) -> ErrorEnvelope:
        for prefix, envelope in self._by_prefix:
            if path.startswith(prefix):
                return envelope
        return OWN_ENVELOPE


PANEL_ENVELOPES = EnvelopesByPath({"/": PanelEnvelope()})


def error_headers(error: FilmgateError) -> dict[str, str]:
    """``retry-after`` is whole seconds, at least one; ``x-should-retry`` is set where the status alone misleads.

    After too large a body the connection is closed, so that the rest of the body is not read.
    """
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
        headers["retry-after-ms"] = str(max(1, math.ceil(error.retry_after * 1000)))
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    if isinstance(error, RangeNotSatisfiable):
        headers["content-range"] = f"bytes */{error.size}"
    if isinstance(error, PayloadTooLarge):
        headers["connection"] = "close"
    return headers
