"""The parts of a multipart body, by where they lie in it: its bytes are passed on as they came."""

import re
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from app.errors import InvalidRequest

PARAMETER = re.compile(rb';\s*([^=;\s"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
PLAIN_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary"})
MOST_PARTS = 1000


@dataclass(slots=True)
class FormPart:
    """One part; its content lies between ``start`` and ``end``."""

    name: str
    is_file: bool
    start: int = 0
    end: int = 0


class FormPartFinder:
    """Callbacks of the multipart parser. It gets the body in one piece, so its offsets are the body's."""

    def __init__(self) -> None:
        self.parts: list[FormPart] = []
        self.is_complete = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._name = b""
        self._value = b""

    def on_part_begin(self) -> None:
        self._headers = []

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers.append((self._name.strip().lower(), self._value))
        self._name = self._value = b""

    def on_headers_finished(self) -> None:
        if len(self.parts) >= MOST_PARTS:
            raise InvalidRequest(f"The multipart body has more than {MOST_PARTS} parts")
        self.parts.append(_read_part(self._headers))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.start = part.start or start
        part.end = end

    def on_end(self) -> None:
        self.is_complete = True


def find_parts(body: bytes, boundary: bytes) -> list[FormPart]:
    """Raises ``InvalidRequest``, also for a part whose name servers read differently."""
    finder = FormPartFinder()
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
    return finder.parts


def _read_part(headers: list[tuple[bytes, bytes]]) -> FormPart:
    """A part needs one plain name: Go also reads ``name*=utf-8''…`` and unescapes, others take the last of two names."""
    dispositions = [value for name, value in headers if name == b"content-disposition"]
    parameters = [
        (name.lower(), value.strip()) for value in dispositions for name, value in PARAMETER.findall(value)
    ]
    names = [value for name, value in parameters if name.partition(b"*")[0] == b"name"]
    is_plain = len(dispositions) == len(names) == 1 and any(name == b"name" for name, _ in parameters)
    if not is_plain or b"\\" in names[0]:
        raise InvalidRequest("Each part of a form must have one plain name")
    is_file = any(name.partition(b"*")[0] == b"filename" for name, _ in parameters)
    encodings = {value.strip().lower() for name, value in headers if name == b"content-transfer-encoding"}
    if not is_file and not encodings <= PLAIN_ENCODINGS:
        raise InvalidRequest("Parts of a form must not be encoded")
    return FormPart(names[0].strip(b'"').decode("utf-8", "replace"), is_file)
