"""Multipart bodies on their way through: the model's name is found in them, every other byte stays."""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import InvalidRequest, MissingField
from app.relay.request import Headers, RelayRequest, content_type

MAX_NAME_BYTES = 400


@dataclass(slots=True)
class FormRequest(RelayRequest):
    """A multipart body; its model's name lies at ``span``."""

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
    spans = _model_spans(body, options[b"boundary"])
    if not spans:
        raise MissingField("model")
    # As in JSON: two readers could see two models.
    if len(spans) > 1:
        raise InvalidRequest("model is given more than once", param="model")
    start, end = spans[0]
    model = body[start : min(end, start + MAX_NAME_BYTES)].decode("utf-8", "replace").strip()
    if not model:
        raise MissingField("model")
    return FormRequest(body, model, {}, has_one_model_field=True, span=(start, end))


@dataclass(slots=True)
class ModelPartFinder:
    """What the parser calls. It is given the body as one piece, so its offsets are the body's."""

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


def _model_spans(body: bytes, boundary: bytes) -> list[tuple[int, int]]:
    parts = ModelPartFinder()
    try:
        MultipartParser(
            boundary,
            {
                "on_part_begin": parts.on_part_begin,
                "on_header_field": parts.on_header_field,
                "on_header_value": parts.on_header_value,
                "on_header_end": parts.on_header_end,
                "on_headers_finished": parts.on_headers_finished,
                "on_part_data": parts.on_part_data,
                "on_end": parts.on_end,
            },
        ).write(body)
    except FormParserError as error:
        raise InvalidRequest(f"The multipart body can't be read: {error}") from None
    if not parts.is_complete:
        raise InvalidRequest("The multipart body ends before its closing boundary")
    return parts.spans
