"""How many tokens the input of a relayed call can be: text by its bytes, media by what models count for them."""

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.media.sound_length import SLOWEST_BYTES_PER_SECOND, longest_seconds

PICTURE_TOKENS = 1105
SMALL_PICTURE_TOKENS = 85
"""OpenAI's count for a picture in full detail, and in low: https://platform.openai.com/docs/guides/images-vision"""
SOUND_TOKENS_PER_SECOND = 32
"""Gemini's count, the highest in use: https://ai.google.dev/gemini-api/docs/tokens"""
FILM_TOKENS_PER_SECOND = 300
FILM_BYTES_PER_SECOND = 12_500
REFERRED_TOKENS = 50_000
"""For what a call only names: a document by its address or id, an earlier answer, a tool that brings text of its own."""
TOKENS_PER_NUMBER = 4
SERVER_TOOLS = (
    "web_search",
    "web_search_preview",
    "web_fetch",
    "file_search",
    "code_interpreter",
    "code_execution",
    "mcp",
)
REFERENCES = frozenset(
    {"file_id", "fileId", "file_ids", "previous_response_id", "conversation", "container", "connector_id"}
)
MEDIA_NAMES: Mapping[str, str] = {
    "url": "",
    "data": "",
    "file_data": "application/pdf",
    "fileUri": "application/pdf",
    "file_uri": "application/pdf",
    "file_url": "application/pdf",
    "bytesBase64Encoded": "image/png",
    "b64_json": "image/png",
    "image_url": "image/png",
    "image": "image/png",
    "images": "image/png",
    "audio_url": "audio/mpeg",
    "input_audio": "audio/mpeg",
    "video_url": "video/mp4",
}
"""Fields that hold media as an address or as base64, and what kind where nothing says; others hold text."""
NO_TEXT_NAMES = REFERENCES | MEDIA_NAMES.keys()
PART_KINDS: Mapping[str, str] = {
    "image": "image/png",
    "input_image": "image/png",
    "document": "application/pdf",
    "input_file": "application/pdf",
    "file": "application/pdf",
}
"""By the ``type`` of a part of a message, the kind of media inside it."""
KIND_NAMES = ("media_type", "mime_type", "mimeType", "format")
SOUND_FORMATS = frozenset({"wav", "mp3", "flac", "opus", "ogg", "aac", "m4a", "pcm16", "webm", "aiff"})
BASE64_START = re.compile(r"[A-Za-z0-9+/_-]{16,64}={0,2}")
ADDRESS_START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")


@dataclass(slots=True)
class InputSize:
    """``text_bytes`` of text, and ``tokens`` of everything else."""

    text_bytes: int = 0
    tokens: int = 0

    def add_texts(self, fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Add the names and the texts among the fields; returns the others."""
        added, others = 0, []
        for name, value in fields.items():
            added += len(name)
            if isinstance(value, str) and name not in NO_TEXT_NAMES:
                added += _byte_length(value)
            else:
                others.append((name, value))
        self.text_bytes += added
        return others

    @property
    def most_tokens(self) -> int:
        """No tokenizer makes more tokens than bytes."""
        return self.text_bytes + self.tokens

    @property
    def likely_tokens(self) -> int:
        return self.text_bytes // 4 + self.tokens


def measure_input(fields: Mapping[str, Any]) -> InputSize:
    """Linear in the body's size, and without recursion."""
    size = InputSize()
    waiting: list[tuple[str, Any, Mapping[str, Any], str]] = [("", fields, {}, "")]
    while waiting:
        name, value, owner, kind = waiting.pop()
        if isinstance(value, dict):
            part = value.get("type")
            if isinstance(part, str):
                size.tokens += REFERRED_TOKENS if part.startswith(SERVER_TOOLS) else 0
                kind = PART_KINDS.get(part, kind)
            kind = MEDIA_NAMES.get(name) or kind
            waiting += [(key, item, value, kind) for key, item in size.add_texts(value)]
        elif isinstance(value, list):
            if value and isinstance(value[0], int):
                size.tokens += len(value)  # a text as tokens
            else:
                waiting += [(name, item, owner, kind) for item in value]
        elif isinstance(value, str):
            if name in NO_TEXT_NAMES:
                _add_reference(size, name, value, kind=kind, owner=owner)
            else:
                size.text_bytes += _byte_length(value)
        elif value is not None:
            size.tokens += TOKENS_PER_NUMBER
    return size


def _byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _add_reference(size: InputSize, name: str, value: str, *, kind: str, owner: Mapping[str, Any]) -> None:
    if name in REFERENCES:
        size.tokens += REFERRED_TOKENS
        return
    kind = _stated_kind(owner) or MEDIA_NAMES[name] or kind
    if _is_media(value, kind):
        size.tokens += _media_tokens(value, kind, is_small=owner.get("detail") == "low")
    else:
        size.text_bytes += _byte_length(value)


def _stated_kind(owner: Mapping[str, Any]) -> str:
    stated = next((owner[name] for name in KIND_NAMES if isinstance(owner.get(name), str)), "")
    return f"audio/{stated}" if stated in SOUND_FORMATS else stated


def _is_media(value: str, kind: str) -> bool:
    if _is_data_uri(value) or ADDRESS_START.match(value):
        return True
    return bool(kind) and not kind.startswith("text/") and BASE64_START.match(value) is not None


def _is_data_uri(value: str) -> bool:
    return value[:5].lower() == "data:"


def _media_tokens(value: str, kind: str, *, is_small: bool) -> int:
    content = value
    if _is_data_uri(value):
        head, _, content = value.partition(",")
        kind = head[5:100].partition(";")[0].strip().lower() or kind
    elif ADDRESS_START.match(value):
        content = ""
    family = kind.partition("/")[0] or "image"
    if family == "image":
        return SMALL_PICTURE_TOKENS if is_small else PICTURE_TOKENS
    if not content:
        return REFERRED_TOKENS
    size = len(content) * 3 // 4
    if family == "audio":
        return int(SOUND_TOKENS_PER_SECOND * _sound_seconds(content, size)) + 1
    if family == "video":
        return FILM_TOKENS_PER_SECOND * (size // FILM_BYTES_PER_SECOND + 1)
    return size + 1


def _sound_seconds(content: str, size: int) -> Decimal:
    try:
        return longest_seconds(binascii.a2b_base64(content))
    except ValueError:
        return Decimal(size) / SLOWEST_BYTES_PER_SECOND
