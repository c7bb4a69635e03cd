"""What the relay reads of a client's request: the headers, the body, and in the body the model's name."""

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from multidict import CIMultiDict
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Message, Receive

from app.errors import InvalidRequest, MissingField, PayloadTooLarge

Headers = list[tuple[bytes, bytes]]

# RFC 9110, 7.6.1: these belong to one connection, not to the message.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Our key and the client's identity are private; the account brings its own organization. Answers must come
# uncompressed, or the usage at their end could not be read.
PRIVATE_HEADERS = frozenset(
    {
        b"accept-encoding",
        b"api-key",
        b"authorization",
        b"content-length",
        b"cookie",
        b"expect",
        b"forwarded",
        b"host",
        b"openai-organization",
        b"openai-project",
        b"origin",
        b"referer",
        b"via",
        b"x-api-key",
        b"x-goog-api-key",
        b"x-real-ip",
    }
)
NOT_FORWARDED = HOP_BY_HOP | PRIVATE_HEADERS
PRIVATE_HEADER_PREFIXES = (b"x-forwarded-", b"cf-", b"sec-")
MODEL_FIELD = b'"model"'
MODEL_VALUE = re.compile(rb'\s*:\s*("(?:[^"\\]|\\.)*")')
BACKSLASH = 0x5C
MAX_NAME_BYTES = 400
FORM_TYPES = (b"multipart/", b"application/x-www-form-urlencoded")


# ---- headers ------------------------------------------------------------------------------------


def is_form(headers: Headers) -> bool:
    """Whether the body is a multipart or urlencoded form."""
    return content_type(headers).lower().startswith(FORM_TYPES)


def content_type(headers: Headers) -> bytes:
    return next((value for name, value in headers if name == b"content-type"), b"")


def forwarded_headers(
    headers: Headers, own: tuple[tuple[str, str], ...], *, defaults: tuple[tuple[str, str], ...] = ()
) -> CIMultiDict[str]:
    """The headers of the request to the upstream.

    The client's, without the connection's and the private ones; then the account's ``own``, which replace the client's;
    then ``defaults``, where neither has a value.
    """
    passed: CIMultiDict[str] = CIMultiDict()
    connection = b""
    for name, value in headers:
        if name == b"connection":
            connection = value.lower()
        elif name not in NOT_FORWARDED and not name.startswith(PRIVATE_HEADER_PREFIXES):
            passed.add(name.decode("latin-1"), value.decode("latin-1"))
    if connection and connection != b"keep-alive":
        for token in connection.decode("latin-1").split(","):
            passed.popall(token.strip(), None)
    for own_name, own_value in own:
        passed[own_name] = own_value
    for default_name, default_value in defaults:
        passed.setdefault(default_name, default_value)
    return passed


# ---- the body -----------------------------------------------------------------------------------


class ClientGone(Exception):
    """The client disconnected before its request was complete."""


async def read_body(receive: Receive, *, limit: int) -> bytes:
    """The whole body. Raises ``PayloadTooLarge`` above ``limit`` bytes, ``ClientGone`` when the client disconnects."""
    message = await _next_message(receive)
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body") and size <= limit:
            message = await _next_message(receive)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        body = b"".join(parts)
    if len(body) > limit:
        raise PayloadTooLarge(f"The body is larger than the limit of {limit} bytes.")
    return body


async def _next_message(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


@dataclass(slots=True)
class RelayRequest:
    """A JSON body and the model it names. ``headers`` replace the client's headers of the same names."""

    body: bytes
    model: str
    fields: dict[str, Any] = field(repr=False)
    has_one_model_field: bool
    """Whether ``"model"`` occurs exactly once in the body's bytes."""
    headers: tuple[tuple[str, str], ...] = ()

    def body_for_model(self, model: str) -> bytes:
        """The body with the model's name replaced; every other byte stays."""
        if model == self.model:
            return self.body
        at = self.body.find(MODEL_FIELD) if self.has_one_model_field else -1
        if at > 0 and self.body[at - 1] != BACKSLASH:
            value = MODEL_VALUE.match(self.body, at + len(MODEL_FIELD))
            if value is not None and value[1] == _json_string(self.model):
                start, end = value.span(1)
                return self.body[:start] + _json_string(model) + self.body[end:]
        return json.dumps({**self.fields, "model": model}, separators=(",", ":")).encode()


@lru_cache(maxsize=4096)
def _json_string(name: str) -> bytes:
    return json.dumps(name).encode()


def read_json_request(body: bytes) -> RelayRequest:
    """Raises ``InvalidRequest`` or ``MissingField``."""
    try:
        # With two "model" fields our reader and the upstream's could see different models: one would pass the checks
        # here and the other would run there.
        once = body.count(MODEL_FIELD) == 1
        fields = json.loads(body) if once else json.loads(body, object_pairs_hook=_one_model)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is no valid JSON.") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("The body must be a JSON object.")
    model = fields.get("model")
    if model is None or model == "":
        raise MissingField("model")
    if not isinstance(model, str):
        raise InvalidRequest("model must be a string", param="model")
    return RelayRequest(body, model, fields, has_one_model_field=once)


def _one_model(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs) and [name for name, _ in pairs].count("model") > 1:
        raise InvalidRequest("model is given more than once", param="model")
    return fields


# ---- multipart bodies ---------------------------------------------------------------------------


@dataclass(slots=True)
class FormRequest(RelayRequest):
    """A multipart body; the model's name lies at ``span`` (start, end) of its bytes."""

    span: tuple[int, int] = (0, 0)

    def body_for_model(self, model: str) -> bytes:
        if model == self.model:
            return self.body
        start, end = self.span
        return self.body[:start] + model.encode() + self.body[end:]


def read_form_request(headers: Headers, body: bytes) -> FormRequest:
    """Raises ``InvalidRequest`` or ``MissingField``."""
    kind, options = parse_options_header(content_type(headers))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise InvalidRequest("The body must be JSON or multipart/form-data with a boundary.")
    spans = _find_model_parts(body, options[b"boundary"])
    if not spans:
        raise MissingField("model")
    if len(spans) > 1:  # two readers could see two models, as in JSON
        raise InvalidRequest("model is given more than once", param="model")
    start, end = spans[0]
    model = body[start : min(end, start + MAX_NAME_BYTES)].decode("utf-8", "replace").strip()
    if not model:
        raise MissingField("model")
    return FormRequest(body, model, {}, has_one_model_field=True, span=(start, end))


@dataclass(slots=True)
class ModelPartFinder:
    """Callbacks of the multipart parser. It gets the body in one piece, so its offsets are the body's."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    is_complete: bool = False
    _header: bytes = b""
    _value: bytes = b""
    _is_model: bool = False

    def on_part_begin(self) -> None:
        self._is_model = False

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._is_model = parse_options_header(self._value)[1].get(b"name") == b"model"
        self._header = self._value = b""

    def on_headers_finished(self) -> None:
        if self._is_model:
            self.spans.append((0, 0))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_model:
            begun = self.spans[-1]
            self.spans[-1] = (begun[0] or start, end)

    def on_end(self) -> None:
        self.is_complete = True


def _find_model_parts(body: bytes, boundary: bytes) -> list[tuple[int, int]]:
    """Start and end of the content of each part named ``model``."""
    finder = ModelPartFinder()
    try:
        MultipartParser(
            boundary,
            {
                "on_part_begin": finder.on_part_begin,
                "on_header_field": finder.on_header_field,
                "on_header_value": finder.on_header_value,
                "on_header_end": finder.on_header_end,
                "on_headers_finished": finder.on_headers_finished,
                "on_part_data": finder.on_part_data,
                "on_end": finder.on_end,
            },
        ).write(body)
    except FormParserError as error:
        raise InvalidRequest(f"The multipart body can't be read: {error}") from None
    if not finder.is_complete:
        raise InvalidRequest("The multipart body ends before its closing boundary")
    return finder.spans
