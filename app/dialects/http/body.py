"""One reader for JSON, multipart and urlencoded bodies, with typed access that names the field."""

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from starlette.requests import Request

from app.dialects.http.body_parsing import (
    BodyLimits,
    Upload,
    field_path,
    parse_json,
    read_fields,
    too_large,
)
from app.dialects.http.form_folding import RepeatedValues
from app.errors import InvalidRequest, MissingField
from app.json_bodies import by_folded_name, refuse_folded_names

__all__ = ["Body", "BodyLimits", "MediaSource", "Upload", "read_body"]

NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
BOOLEAN_WORDS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
PRICED_NAMES = frozenset(
    {"model", "prompt", "n", "seconds", "duration", "size", "resolution", "aspect_ratio"}
)
"""Fields that decide what an upstream makes and charges, also where a dialect has no such field."""
LARGEST_INTEGER = 2**63 - 1


async def read_body(request: Request, *, limits: BodyLimits) -> "Body":
    """Read and check the whole body. Raises ``InvalidRequest`` or ``PayloadTooLarge``.

    An empty body has no fields.
    """
    return Body(await read_fields(request, limits), limits=limits)


class Body:
    """The fields of a request, or of an object in it.

    Accessors answer None for a field that is absent, null or (but for ``text``) empty, and raise
    ``InvalidRequest`` with ``param`` set for one of the wrong kind.
    """

    def __init__(self, fields: Mapping[str, Any], *, limits: BodyLimits, path: str = "") -> None:
        self.fields = fields
        self.limits = limits
        self.path = path

    def __contains__(self, name: str) -> bool:
        return self.value(name) is not None

    def value(self, name: str) -> Any:
        """The raw value; the last one of a name that was sent several times."""
        value = self.fields.get(name)
        return value[-1] if isinstance(value, RepeatedValues) else value

    def text(self, name: str) -> str | None:
        value = self.value(name)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong_type(name, "a string")

    def required_text(self, name: str) -> str:
        """Raises ``MissingField`` when absent or blank."""
        value = self.text(name)
        if value is None or not value.strip():
            raise MissingField(field_path(self.path, name))
        return value

    def number(self, name: str, *, low: float = -math.inf, high: float = math.inf) -> float | None:
        """A number or the text of one, from ``low`` to ``high``."""
        value = self._read_number(name)
        if value is None:
            return None
        if not low <= value <= high:
            raise self._wrong_type(name, _range_text(low, high))
        return float(value)

    def integer(self, name: str, *, low: int = -LARGEST_INTEGER, high: int = LARGEST_INTEGER) -> int | None:
        """A whole number or the text of one, from ``low`` to ``high``."""
        value = self._read_number(name)
        if value is None:
            return None
        if value != int(value):
            raise self._wrong_type(name, "a whole number")
        if not low <= value <= high:
            raise self._wrong_type(name, _range_text(low, high))
        return int(value)

    def boolean(self, name: str) -> bool | None:
        """true, false, 1, 0, or one of these words: true false yes no on off 1 0."""
        value = self.value(name)
        if value is None or value == "":
            return None
        word = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
        if word not in BOOLEAN_WORDS:
            raise self._wrong_type(name, "true or false")
        return BOOLEAN_WORDS[word]

    def object(self, name: str) -> "Body | None":
        """An object, or the JSON text of one."""
        value = self.value(name)
        if value is None or value == "":
            return None
        where = field_path(self.path, name)
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = parse_json(value, name=where, limits=self.limits)
        if not isinstance(value, dict):
            raise self._wrong_type(name, "an object")
        return Body(value, limits=self.limits, path=where)

    def list(self, name: str) -> tuple[Any, ...]:
        """A list, the JSON text of one, or a single value as a list of one; empty when absent."""
        value = self.fields.get(name)
        if value is None or value == "":
            return ()
        if isinstance(value, str) and value.lstrip().startswith("["):
            value = parse_json(value, name=field_path(self.path, name), limits=self.limits)
        return tuple(value) if isinstance(value, list) else (value,)

    def texts(self, name: str) -> tuple[str, ...]:
        """Like ``list``, of strings; blank ones are left out."""
        items = self.list(name)
        if not all(isinstance(item, str) for item in items):
            raise self._wrong_type(name, "a list of strings")
        return tuple(item for item in items if item.strip())

    def upload(self, name: str, *, limit: int | None = None) -> Upload | None:
        """A file of at most ``limit`` bytes. Raises ``PayloadTooLarge``."""
        value = self.value(name)
        if value is None or value == "":
            return None
        if not isinstance(value, Upload):
            raise self._wrong_type(name, "a file")
        if limit is not None and len(value.content) > limit:
            raise too_large(field_path(self.path, name), limit)
        return value

    def source(self, name: str) -> "MediaSource | None":
        """A picture or clip: text (URL, data URI, base64), a file, or an object (or its JSON text)."""
        value = self.value(name)
        return None if value is None or value == "" else self._read_source(value, field_path(self.path, name))

    def sources(self, name: str) -> "tuple[MediaSource, ...]":
        """Like ``source``, of a list; a single value is a list of one."""
        if self.fields.get(name) is None:
            return ()
        where = field_path(self.path, name)
        items = [item for item in self.list(name) if item not in (None, "")]
        if len(items) == 1:
            return (self._read_source(items[0], where),)
        return tuple(self._read_source(item, field_path(where, at)) for at, item in enumerate(items))

    def unknown_fields(self, known: Collection[str]) -> dict[str, Any]:
        """The fields not in ``known``, for the upstream. Raises ``InvalidRequest`` for a file among them, and for a name that
        an upstream may take for a known or a priced one."""
        refuse_folded_names(self.fields, by_folded_name(PRICED_NAMES.union(known)), path=self.path)
        rest = {name: value for name, value in self.fields.items() if name not in known and value is not None}
        for name, value in rest.items():
            if _holds_file(value):
                raise InvalidRequest(f"{name} is a file, which is not accepted here", param=name)
        return rest

    def fingerprint(self) -> str:
        """SHA-256, in hex, that is equal for equal fields and files whatever the encoding.

        4, 4.0 and "4" are equal, so are true and "true", and null and absent.
        """
        canonical = json.dumps(_canonical_value(self.fields), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _read_number(self, name: str) -> float | int | None:
        value = self.value(name)
        if isinstance(value, str):
            value = value.strip()
            if value == "":
                return None
            if not NUMBER.fullmatch(value):
                raise self._wrong_type(name, "a number")
            return float(value) if "." in value else int(value)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise self._wrong_type(name, "a number")

    def _read_source(self, value: Any, where: str) -> "MediaSource":
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = parse_json(value, name=where, limits=self.limits)
        if isinstance(value, dict):
            return Body(value, limits=self.limits, path=where)
        if isinstance(value, str | Upload):
            return value
        raise InvalidRequest(f"{where} must be a file, an address, base64 data or an object", param=where)

    def _wrong_type(self, name: str, kind: str) -> InvalidRequest:
        where = field_path(self.path, name)
        return InvalidRequest(f"{where} must be {kind}", param=where)


MediaSource: TypeAlias = str | Upload | Body
"""A picture or clip as sent: text (URL, data URI, base64), a file, or an object."""


def _range_text(low: float, high: float) -> str:
    if high == math.inf:
        return f"at least {low:g}"
    if low == -math.inf:
        return f"at most {high:g}"
    return f"from {low:g} to {high:g}" if abs(high) < 1e6 else f"from {low} to {high}"


def _holds_file(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_file(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_file(item) for item in value)
    return isinstance(value, Upload)


def _canonical_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical_value(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_canonical_value(item) for item in value]
    if isinstance(value, Upload):
        return {"\0file": value.sha256}  # no field name has a NUL in it
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if value is None else str(value)
