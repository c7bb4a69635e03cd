"""What the relay reads of a client's request: the headers, the body, and in the body the model's name."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.types import Message, Receive

from app import USER_AGENT
from app.catalog.call_fields import BY_FOLDED_NAME, check_names
from app.catalog.call_price import CallBody
from app.errors import InvalidRequest, MissingField, PayloadTooLarge
from app.json_bodies import (
    LARGE_BODY_BYTES,
    MARKING_DECODER,
    MOST_ESCAPES,
    RepeatedNames,
    fold_name,
    holds_too_many_values,
    run_for_body,
)
from app.relay.form_parts import find_parts

Headers = list[tuple[bytes, bytes]]
Pairs = Sequence[tuple[str, str]]

# Only what matters to the API is passed on. Whatever else a client sends (its program's name, its language, cookies, the
# addresses it came by) is private, and a firewall before an upstream would judge our accounts by it.
PASSED_HEADERS = frozenset(
    {
        b"accept",
        b"content-encoding",
        b"content-type",
        b"idempotency-key",
        b"prefer",
        b"traceparent",
        b"tracestate",
    }
)
PASSED_PREFIXES = (b"anthropic-", b"openai-", b"x-")
# Our key, and by which way a request came here; the account brings its own organization.
PRIVATE_HEADERS = frozenset(
    {b"openai-organization", b"openai-project", b"x-api-key", b"x-goog-api-key", b"x-real-ip"}
)
PRIVATE_PREFIXES = (
    b"x-amz",
    b"x-client-",
    b"x-cluster-",
    b"x-envoy-",
    b"x-filmgate-",
    b"x-forward",
    b"x-original-",
    b"x-requested-",
    b"x-stainless-",
)
MODEL_FIELD = b'"model"'
MODEL_VALUE = re.compile(rb'\s*:\s*("(?:[^"\\]|\\.)*")')
BACKSLASH = 0x5C
BYTE_ORDER_MARK = "\ufeff"
MAX_NAME_BYTES = 400
MAX_TEXT_BYTES = 64 * 1024
LISTED_NAMES = frozenset({"image", "file", "images"})
"""Parts of a form that may be sent more than once."""
MOST_VALUES = 400_000
"""The most that a call holds is an embedding's 300,000 tokens as numbers."""
ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")
USAGE_WISH = b',"stream_options":{"include_usage":true}}'
FORM_TYPES = (b"multipart/", b"application/x-www-form-urlencoded")


# ---- headers ------------------------------------------------------------------------------------


def is_form(headers: Headers) -> bool:
    """Whether the body is a multipart or urlencoded form."""
    return content_type(headers).lower().startswith(FORM_TYPES)


def content_type(headers: Headers) -> bytes:
    return next((value for name, value in headers if name == b"content-type"), b"")


class OwnHeaders:
    """What an account adds to the headers of a request: our name and its ``own``, which replace the client's, and
    ``defaults``, where neither has a value."""

    __slots__ = ("_defaults", "_names", "_own")

    def __init__(self, own: Pairs, *, defaults: Pairs = ()) -> None:
        by_name = {name.lower(): (name, value) for name, value in (("User-Agent", USER_AGENT), *own)}
        self._own = [(name.encode(), value.encode()) for name, value in by_name.values()]
        self._names = frozenset(name.encode() for name in by_name)
        self._defaults = [
            (name.encode(), value.encode()) for name, value in defaults if name.lower() not in by_name
        ]

    def with_passed(self, headers: Headers) -> Headers:
        """The headers of the request to the upstream, with those of the client's that matter to the API."""
        passed: Headers = []
        for name, value in headers:
            if name == b"connection":
                if value.lower() != b"keep-alive":
                    return self.with_passed(_without_named(headers, value))
            elif name not in self._names and _is_passed(name):
                passed.append((name, value))
        passed += self._own
        for name, value in self._defaults:
            if all(name.lower() != other for other, _ in passed):
                passed.append((name, value))
        return passed


def _without_named(headers: Headers, connection: bytes) -> Headers:
    """Without the headers that the client's ``Connection`` names: they end at us."""
    named = {b"connection", *(token.strip().lower() for token in connection.split(b","))}
    return [header for header in headers if header[0] not in named]


@lru_cache(maxsize=1024)
def _is_passed(name: bytes) -> bool:
    if name in PRIVATE_HEADERS or name.startswith(PRIVATE_PREFIXES):
        return False
    return name in PASSED_HEADERS or name.startswith(PASSED_PREFIXES)


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
    """Whether ``"model"`` occurs exactly once in the body's bytes, and no name is written with escapes."""
    headers: Headers = field(default_factory=list)

    def replaced_headers(self, headers: Headers) -> Headers:
        """The client's headers with this request's own in place of them."""
        if not self.headers:
            return headers
        own = {name for name, _ in self.headers}
        return [*(header for header in headers if header[0] not in own), *self.headers]

    @property
    def priced_body(self) -> CallBody:
        return CallBody(self.fields)

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

    def with_stated_usage(self) -> "RelayRequest":
        """The same request, with the usage asked for at the end of its stream; every other byte stays where the client
        named no ``stream_options``."""
        options = self.fields.get("stream_options")
        fields = {**self.fields, "stream_options": {**(options or {}), "include_usage": True}}
        if "stream_options" in self.fields:
            body = json.dumps(fields, separators=(",", ":")).encode()
        else:
            body = self.body.rstrip()[:-1] + USAGE_WISH
        return replace(self, body=body, fields=fields)

    @property
    def streams_without_usage(self) -> bool:
        """Whether the client asked for a stream and not for its usage. Raises ``InvalidRequest`` for other than true or
        false, which servers read differently."""
        options = self.fields.get("stream_options")
        if options is not None and not isinstance(options, dict):
            raise InvalidRequest("stream_options must be an object", param="stream_options")
        asked = options.get("include_usage") if options else None
        for name, value in (("stream", self.fields.get("stream")), ("stream_options.include_usage", asked)):
            if value is not None and not isinstance(value, bool):
                raise InvalidRequest(f"{name} must be true or false", param=name)
        return self.fields.get("stream") is True and not asked


@lru_cache(maxsize=4096)
def _json_string(name: str) -> bytes:
    return json.dumps(name).encode()


async def read_json_request(body: bytes, *, default_model: str = "") -> RelayRequest:
    """``default_model``: of an API that has one; it is written into the body. Raises ``InvalidRequest`` or
    ``MissingField``."""
    if len(body) <= LARGE_BODY_BYTES:
        return _read_json(body, default_model)
    return await run_for_body(len(body), lambda: _read_json(body, default_model))


def _read_json(body: bytes, default_model: str) -> RelayRequest:
    fields, escaped = _parse_object(body)
    check_names(fields)
    model = fields.get("model")
    if model is None and default_model:
        fields = {**fields, "model": default_model}
        return RelayRequest(json.dumps(fields).encode(), default_model, fields, has_one_model_field=False)
    if model is None or model == "":
        raise MissingField("model")
    if not isinstance(model, str):
        raise InvalidRequest("model must be a string", param="model")
    return RelayRequest(body, model, fields, has_one_model_field=not escaped and body.count(MODEL_FIELD) == 1)


def _parse_object(body: bytes) -> tuple[dict[str, Any], bool]:
    """The object, as ``RepeatedNames`` where it is one, and whether ASCII letters are written as escapes in it."""
    if holds_too_many_values(body, MOST_VALUES):
        raise InvalidRequest(f"The body has more than {MOST_VALUES} values, or {MOST_ESCAPES} escapes.")
    escaped = b"\\u00" in body and ESCAPED_ASCII.search(body) is not None
    try:
        fields = MARKING_DECODER.decode(body.decode().removeprefix(BYTE_ORDER_MARK))
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is no valid JSON.") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return fields, escaped


# ---- multipart bodies ---------------------------------------------------------------------------


@dataclass(slots=True)
class FormRequest(RelayRequest):
    """A multipart body; the model's name lies at ``span`` (start, end) of its bytes."""

    span: tuple[int, int] = (0, 0)
    files: tuple[tuple[int, int], ...] = ()
    """Where the bytes of its files lie."""

    @property
    def priced_body(self) -> CallBody:
        body = memoryview(self.body)
        return CallBody(self.fields, [body[start:end] for start, end in self.files])

    def body_for_model(self, model: str) -> bytes:
        if model == self.model:
            return self.body
        start, end = self.span
        return self.body[:start] + model.encode() + self.body[end:]


async def read_form_request(headers: Headers, body: bytes) -> FormRequest:
    """Raises ``InvalidRequest`` or ``MissingField``."""
    kind, options = parse_options_header(content_type(headers))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidRequest("The body must be JSON or multipart/form-data with a boundary.")
    return await run_for_body(len(body), lambda: _read_form(body, boundary))


def _read_form(body: bytes, boundary: bytes) -> FormRequest:
    parts = find_parts(body, boundary)
    fields = RepeatedNames()
    fields.repeated = frozenset(name for name, count in Counter(p.name for p in parts).items() if count > 1)
    texts = [part for part in parts if not part.is_file]
    for part in texts:
        fields[part.name] = body[part.start : min(part.end, part.start + MAX_TEXT_BYTES)].decode(
            "utf-8", "replace"
        )
    # Lists are sent as parts of one name; a name that chooses the model or the price stands once, as in JSON.
    fields.repeated &= frozenset(BY_FOLDED_NAME.values()) - LISTED_NAMES
    check_names(fields if fields.repeated else dict(fields))
    for part in parts:
        base, bracket, _ = part.name.partition("[")
        meant = BY_FOLDED_NAME.get(fold_name(base)) if bracket else None
        if meant is not None and meant not in LISTED_NAMES:
            raise InvalidRequest(f"{ascii(part.name)[1:81]} must be written {meant}", param=meant)
    named = next((part for part in texts if part.name == "model"), None)
    model = fields.get("model", "").strip()
    if named is None or not model:
        raise MissingField("model")
    if len(model) > MAX_NAME_BYTES:
        raise InvalidRequest("model is too long", param="model")
    return FormRequest(
        body,
        model,
        dict(fields),
        has_one_model_field=True,
        span=(named.start, named.end),
        files=tuple((part.start, part.end) for part in parts if part.is_file),
    )
