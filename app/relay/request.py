"""What the relay reads of a request: the body, and of the body no more than routing needs."""

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from multidict import CIMultiDict
from starlette.types import Message, Receive

from app.errors import InvalidRequest, MissingField, PayloadTooLarge

Headers = list[tuple[bytes, bytes]]

# RFC 9110, 7.6.1: these speak of one connection, not of the message.
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
# Our key and who the client is are nobody else's business; the account brings its own organization. Answers
# must come uncompressed, or what they used could not be read from their tail.
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


class ClientGone(Exception):
    """The client left before its request was whole."""


def is_form(headers: Headers) -> bool:
    """Whether the body is a multipart or urlencoded form."""
    return content_type(headers).lower().startswith((b"multipart/", b"application/x-www-form-urlencoded"))


def content_type(headers: Headers) -> bytes:
    return next((value for name, value in headers if name == b"content-type"), b"")


def forwarded_headers(
    headers: Headers, own: tuple[tuple[str, str], ...], *, defaults: tuple[tuple[str, str], ...] = ()
) -> CIMultiDict[str]:
    """What goes upstream: the client's headers but for ours and the connection's, then the account's;
    ``defaults`` where neither says anything."""
    passed: CIMultiDict[str] = CIMultiDict()
    named = b""
    for name, value in headers:
        if name == b"connection":
            named = value.lower()
        elif name not in NOT_FORWARDED and not name.startswith(PRIVATE_HEADER_PREFIXES):
            passed.add(name.decode("latin-1"), value.decode("latin-1"))
    if named and named != b"keep-alive":
        for token in named.decode("latin-1").split(","):
            passed.popall(token.strip(), None)
    for own_name, own_value in own:
        passed[own_name] = own_value
    for default_name, default_value in defaults:
        passed.setdefault(default_name, default_value)
    return passed


async def read_body(receive: Receive, *, limit: int) -> bytes:
    """The whole body. Raises ``PayloadTooLarge`` past ``limit`` bytes, ``ClientGone`` when it breaks off."""
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
    """A JSON body, and the model it asks for. ``headers`` go with it in place of the client's."""

    body: bytes
    model: str
    fields: dict[str, Any] = field(repr=False)
    has_one_model_field: bool
    """Whether the body holds the field's plain name in one place only."""
    headers: tuple[tuple[str, str], ...] = ()

    def body_for_model(self, model: str) -> bytes:
        """The body with another model name in place of its own, every other byte as it was."""
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
        # Written twice, our reader and the upstream's could see different models: one passes the checks here,
        # the other runs there.
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
