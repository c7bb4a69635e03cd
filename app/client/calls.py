"""Requests as data: paths, headers and bodies."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any, TypeAlias, TypedDict

import httpx2

FileContent: TypeAlias = bytes | IO[bytes] | PathLike[str]
FileTypes: TypeAlias = FileContent | tuple[str, FileContent] | tuple[str, FileContent, str]


class Options(TypedDict, total=False):
    """What every call takes beside its own arguments."""

    extra_headers: Mapping[str, str] | None
    extra_query: Mapping[str, Any] | None
    extra_body: Mapping[str, Any] | None
    timeout: float | httpx2.Timeout | None


@dataclass(frozen=True)
class Call:
    """If not ``repeatable``, it is sent again only when the gateway has surely not done it."""

    method: str
    path: str
    headers: Mapping[str, str]
    arguments: Mapping[str, Any]
    repeatable: bool


def make_call(
    method: str, path: str, options: Options, *, fields: Mapping[str, Any] | None = None, once: bool = True
) -> Call:
    """A POST carries an idempotency key: a repetition after a lost answer gets the video that the first one bought.
    ``once`` is false where the gateway does not read it."""
    headers = {name.lower(): value for name, value in (options.get("extra_headers") or {}).items()}
    arguments: dict[str, Any] = {name: value for name, value in options.items() if name == "timeout"}
    arguments["params"] = _given(options.get("extra_query"))
    if method == "POST":
        headers = {"idempotency-key": str(uuid.uuid4())} | headers
        arguments |= encode_body(_given(fields) | _given(options.get("extra_body")))
    return Call(method, path, headers, arguments, repeatable=method != "POST" or once)


def _given(fields: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (fields or {}).items() if value is not None}


def encode_body(fields: dict[str, Any]) -> dict[str, Any]:
    """A form where there is a file, else JSON."""
    files: list[tuple[str, Any]] = []
    texts: dict[str, str] = {}
    for name, value in fields.items():
        items = value if isinstance(value, list) else [value]
        found = [file for item in items if (file := read_file(item))]
        files += [(name, file) for file in found]
        if not found:
            texts[name] = value if isinstance(value, str) else json.dumps(value)
    return {"files": files, "data": texts} if files else {"json": fields}


def read_file(value: Any) -> tuple[Any, ...] | None:
    """Name, content and type of a file, read whole so that it can be sent again; None for what is no file."""
    if isinstance(value, tuple):
        inner = read_file(value[1])
        return (value[0], inner[1], *value[2:]) if inner else None
    if isinstance(value, PathLike):
        return Path(value).name, Path(value).read_bytes()
    if hasattr(value, "read"):
        return Path(str(getattr(value, "name", "upload"))).name, value.read()
    return ("upload", value) if isinstance(value, bytes) else None


def read_pause(response: httpx2.Response, units: Mapping[str, int], *, default: float) -> float:
    """The seconds in the first of these headers that holds a number; ``units`` make a second."""
    for name, unit in units.items():
        text = response.headers.get(name, "")
        if text.isascii() and text.isdigit():
            return int(text[:9]) / unit
    return default
