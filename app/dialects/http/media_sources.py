"""Reads pictures, clips and sounds, in any form that clients send, into inputs of a task."""

from dataclasses import dataclass

from app.dialects.http.body import Body, MediaSource, Upload
from app.dialects.http.gateway import Gateway
from app.errors import InvalidRequest
from app.generation import MediaInput, Role

PART_TYPES = ("image_url", "video_url", "audio_url")
ADDRESSES = ("image_url", "video_url", "url")


async def read_source(source: MediaSource, services: Gateway, *, role: Role, param: str) -> MediaInput:
    """A file, an address, base64, or an object with ``image_url``, ``video_url`` or ``url``."""
    return await services.inputs.read_input(_source_content(source, param), role=role, param=param)


def _source_content(source: MediaSource, param: str) -> str | bytes:
    if isinstance(source, Upload):
        return source.content
    if isinstance(source, str):
        return source
    if "file_id" in source:
        text = f"{param}.file_id is not accepted: send the file, or {param}.image_url"
        raise InvalidRequest(text, param=param)
    address = next((source.value(name) for name in ADDRESSES if name in source), None)
    if isinstance(address, dict):  # as in the parts of a chat message
        address = address.get("url")
    if not isinstance(address, str) or not address:
        raise InvalidRequest(f"{param} must hold {' or '.join(ADDRESSES)}", param=param)
    return address


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
        found.append(MediaPart(kind, _part_address(fields, kind, name=name), fields))
    return found


def _part_address(fields: Body, kind: str, *, name: str) -> str:
    value = fields.value(kind)
    address = value.get("url") if isinstance(value, dict) else value
    if not isinstance(address, str) or not address.strip():
        hold = kind if kind == "text" else f"{kind}.url"
        raise InvalidRequest(f"{fields.path} must hold {hold}", param=name)
    return address
