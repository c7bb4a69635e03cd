"""Pictures, clips and sounds as parts: ``{"type": "image_url", "image_url": {"url": …}, …}``."""

from dataclasses import dataclass

from app.dialects.http.body import Body
from app.errors import InvalidRequest

MEDIA = ("image_url", "video_url", "audio_url")


@dataclass(frozen=True, slots=True)
class MediaPart:
    """One part of a list. ``address`` is a link, data URI or base64; of a text, the text."""

    type: str
    address: str
    fields: Body


def read_media_parts(body: Body, name: str, *, types: tuple[str, ...] = MEDIA) -> list[MediaPart]:
    """The list called ``name``. Raises ``InvalidRequest`` for a part of another type, or an empty one."""
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
    given = fields.value(kind)
    address = given.get("url") if isinstance(given, dict) else given
    if not isinstance(address, str) or not address.strip():
        hold = kind if kind == "text" else f"{kind}.url"
        raise InvalidRequest(f"{fields.path} must hold {hold}", param=name)
    return address
