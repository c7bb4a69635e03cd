"""Reads pictures, clips and sounds, in any form that clients send, into inputs of a task."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app.dialects.http.body import Body, MediaSource, Upload
from app.dialects.http.gateway import Gateway
from app.errors import InvalidRequest
from app.generation import MediaInput, Role

PART_TYPES = ("image_url", "video_url", "audio_url")
ADDRESSES = (*PART_TYPES, "url")
OBJECT_FIELDS = frozenset({*ADDRESSES, "id", "file_id", "type", "role", "frame_type"})
SAYS_NOTHING = frozenset({"detail", "format", "cache_control", "mime_type"})
"""Sent by chat clients with a picture. They are for models that look at it; a film is made of all of it anyway."""


async def read_source(
    source: MediaSource, services: Gateway, *, role: Role, param: str, picture_factor: int = 1
) -> MediaInput:
    """A file, an address, base64, or an object with ``image_url``, ``video_url``, ``audio_url`` or ``url``."""
    content = source_content(source, param)
    return await services.inputs.read_input(content, role=role, param=param, picture_factor=picture_factor)


def source_content(source: MediaSource, param: str) -> str | bytes:
    """The bytes of a file, else the text: an address, a data URI or base64. Raises ``InvalidRequest``."""
    if isinstance(source, Upload):
        return source.content
    if isinstance(source, str):
        return source
    refuse_unknown_keys(source.fields, OBJECT_FIELDS, where=source.path or param, param=param)
    if "file_id" in source:
        text = f"{param}.file_id is not accepted: send the file, or {param}.image_url"
        raise InvalidRequest(text, param=param)
    address = next((source.value(name) for name in ADDRESSES if name in source), None)
    if isinstance(address, dict):  # as in the parts of a chat message
        refuse_unknown_keys(address, {"url"}, where=source.path or param, param=param)
        address = address.get("url")
    if not isinstance(address, str) or not address:
        raise InvalidRequest(f"{param} must hold {' or '.join(ADDRESSES)}", param=param)
    return address


def refuse_unknown_keys(fields: Mapping[str, Any], known: Collection[str], *, where: str, param: str) -> None:
    """Raises ``InvalidRequest`` for a key in the object of an input that nobody reads."""
    for name, value in fields.items():
        if value is not None and name not in known and name not in SAYS_NOTHING:
            raise InvalidRequest(f"{where} has no field {name[:100]}", param=param)


@dataclass(frozen=True, slots=True)
class MediaPart:
    """One part of a list. ``address`` is a link, data URI or base64; for a text part it is the text."""

    type: str
    address: str
    fields: Body


def read_media_parts(body: Body, name: str, *, types: tuple[str, ...] = PART_TYPES) -> list[MediaPart]:
    """The parts in the list ``name``. Raises ``InvalidRequest`` for an empty part or one of another type."""
    found = []
    for number, item in enumerate(body.list(name)):
        where = f"{name}.{number}"
        if not isinstance(item, dict):
            raise InvalidRequest(f"{where} must be an object with a type", param=name)
        fields = Body(item, limits=body.limits, path=where)
        kind = fields.text("type") or ""
        if kind not in types:
            raise InvalidRequest(f"{where}.type must be one of {', '.join(types)}", param=name)
        refuse_unknown_keys(item, {"type", "role", kind}, where=where, param=name)
        found.append(MediaPart(kind, _part_address(fields, kind, name=name), fields))
    return found


def _part_address(fields: Body, kind: str, *, name: str) -> str:
    value = fields.value(kind)
    if isinstance(value, dict):
        refuse_unknown_keys(value, {"url"}, where=f"{fields.path}.{kind}", param=name)
    address = value.get("url") if isinstance(value, dict) else value
    if not isinstance(address, str) or not address.strip():
        hold = kind if kind == "text" else f"{kind}.url"
        raise InvalidRequest(f"{fields.path} must hold {hold}", param=name)
    return address
