"""Parses a request body (JSON, multipart or urlencoded) into checked nested fields."""

import hashlib
import json
import math
import re
import sys
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from app.dialects.http.form_folding import fold_fields
from app.errors import InvalidRequest, PayloadTooLarge
from app.json_bodies import (
    MEGABYTE,
    holds_too_many_values,
    parse_integer,
    refuse_constant,
    run_for_body,
)

MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
VALUES_IN_TEXTS = 200_000
"""Before parsing, marks of values are counted also in texts; the values themselves are counted afterwards."""
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits of one body; sizes in bytes. The size of the whole body is limited earlier, by the edge."""

    max_depth: int = 32
    max_fields: int = 1_000
    """Parts of a form, and keys of one JSON object."""
    max_values: int = 20_000
    """All keys and items of a JSON body together."""
    max_files: int = 20
    max_upload_bytes: int = 100 * MEGABYTE
    max_text_bytes: int = 135 * MEGABYTE
    """One text value: large enough for the largest video as base64."""


@dataclass(frozen=True)
class Upload:
    """A file part. ``file_name`` has no folders or control characters; ``content_type`` no parameters."""

    file_name: str
    content_type: str
    content: bytes = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class _StrictFormParser(MultiPartParser):
    """Starlette's parser, which also records whether the closing boundary came and refuses text that is not UTF-8."""

    complete = False

    def on_part_end(self) -> None:
        if self._current_part.file is None:
            try:
                self._current_part.data.decode()
            except UnicodeDecodeError as error:
                raise MultiPartException("a field is not valid UTF-8") from error
        super().on_part_end()

    def on_end(self) -> None:
        self.complete = True


async def read_fields(request: Request, limits: BodyLimits) -> dict[str, Any]:
    """The fields of a body. Raises ``InvalidRequest`` or ``PayloadTooLarge``."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data":
        fields = await _read_multipart(request, charset=options.get(b"charset", b"utf-8"), limits=limits)
        _check_value(fields, path="", depth=1, limits=limits)
        return fields
    raw, is_form = await request.body(), kind == b"application/x-www-form-urlencoded"
    return await run_for_body(len(raw), lambda: _read_json_or_form(raw, is_form=is_form, limits=limits))


def parse_json(text: str, *, name: str, limits: BodyLimits) -> Any:
    """The checked JSON in ``text``, which the field ``name`` holds. Raises ``InvalidRequest``."""
    try:
        value = _parse_json(text, what=name, limits=limits)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=name) from error
    _check_value(value, path=name, depth=1, limits=limits)
    return value


def _read_json_or_form(raw: bytes, *, is_form: bool, limits: BodyLimits) -> dict[str, Any]:
    fields = _parse_json_or_form(raw, is_form=is_form, limits=limits)
    _check_value(fields, path="", depth=1, limits=limits)
    return fields


def _parse_json_or_form(raw: bytes, *, is_form: bool, limits: BodyLimits) -> dict[str, Any]:
    """Parsed as JSON whatever the content type, except a form that does not begin with ``{``: ``curl -d '{…}'`` labels
    its JSON as a form."""
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The body is not valid UTF-8 at byte {error.start}") from error
    if not text:
        return {}
    if is_form and not text.startswith("{"):
        return _read_urlencoded(text, limits)
    value = _parse_json(text, what="The body", limits=limits)
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object")
    return value


def _read_urlencoded(text: str, limits: BodyLimits) -> dict[str, Any]:
    if text.count("&") >= limits.max_fields:
        raise InvalidRequest(f"The body has more than {limits.max_fields} fields")
    try:
        items = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidRequest("The body is not valid UTF-8") from error
    return fold_fields(items, max_depth=limits.max_depth)


async def _read_multipart(request: Request, *, charset: bytes, limits: BodyLimits) -> dict[str, Any]:
    if charset.lower() not in (b"utf-8", b"utf8"):
        raise InvalidRequest("A multipart body must be UTF-8")
    try:
        async with aclosing(request.stream()) as stream:
            parser = _StrictFormParser(
                request.headers,
                stream,
                max_files=limits.max_files,
                max_fields=limits.max_fields,
                max_part_size=sys.maxsize,  # sizes are checked later, where the field can be named
            )
            form = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"The multipart body can't be read: {error.message}") from error
    try:
        if not parser.complete:
            raise InvalidRequest("The multipart body ends before its closing boundary")
        return await _read_parts(form, limits)
    finally:
        await form.close()


async def _read_parts(form: FormData, limits: BodyLimits) -> dict[str, Any]:
    items: list[tuple[str, Any]] = []
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            items.append((name, value))
        elif (
            value.size or value.filename
        ):  # browsers send an empty file input as a part without name and content
            items.append((name, await _read_upload(name, value, limits)))
    return fold_fields(items, max_depth=limits.max_depth)


async def _read_upload(name: str, part: UploadFile, limits: BodyLimits) -> Upload:
    if (part.size or 0) > limits.max_upload_bytes:
        raise too_large(name, limits.max_upload_bytes)
    base = (part.filename or "").replace("\\", "/").rpartition("/")[2]
    media_type = (part.content_type or "").partition(";")[0].strip().lower()
    return Upload(
        file_name=UNPRINTABLE.sub("", base)[:255],
        content_type=media_type if MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream",
        content=await part.read(),
    )


def too_large(name: str, limit: int) -> PayloadTooLarge:
    """The error for a field over ``limit`` bytes."""
    size = f"{limit // MEGABYTE} MB" if limit >= MEGABYTE else f"{limit} bytes"
    return PayloadTooLarge(f"{name} is larger than the limit of {size}", param=name)


def _parse_json(text: str, *, what: str, limits: BodyLimits) -> Any:
    if holds_too_many_values(text.encode("utf-8", "surrogatepass"), limits.max_values + VALUES_IN_TEXTS):
        raise InvalidRequest(f"{what} has more than {limits.max_values} values")
    try:
        return json.loads(
            text, parse_int=parse_integer, parse_float=_parse_float, parse_constant=refuse_constant
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InvalidRequest(f"{what} is not valid JSON: {error.msg} at {place}") from error
    except RecursionError as error:
        raise InvalidRequest(f"{what} is nested deeper than {limits.max_depth} levels") from error


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InvalidRequest("A number in the body is too large")
    return value


def _check_value(value: Any, *, path: str, depth: int, limits: BodyLimits) -> int:
    """Raises for values that no store or upstream accepts. Returns the number of values."""
    if isinstance(value, str):
        _check_text(value, path, limits)
    if not isinstance(value, dict | list):
        return 1
    if depth > limits.max_depth:
        raise InvalidRequest(f"{path} is nested deeper than {limits.max_depth} levels", param=path)
    if isinstance(value, dict) and len(value) > limits.max_fields:
        raise InvalidRequest(
            f"{path or 'The body'} has more than {limits.max_fields} fields", param=path or None
        )
    count = 1
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str):
            _check_text(key, "A field name", limits)
        count += _check_value(item, path=field_path(path, key), depth=depth + 1, limits=limits)
        if count > limits.max_values:
            raise InvalidRequest(f"The body has more than {limits.max_values} values")
    return count


def field_path(path: str, key: str | int) -> str:
    """The name of a field inside ``path``, as errors write it: ``video.id``, ``images[0]``."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _check_text(text: str, name: str, limits: BodyLimits) -> None:
    if len(text) > limits.max_text_bytes:
        raise too_large(name, limits.max_text_bytes)
    if "\0" in text:
        raise InvalidRequest(f"{name} contains a NUL character", param=name)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"{name} contains half a surrogate pair", param=name) from error
