"""Turns a client's media (file, data URI, base64 or link) into a validated ``MediaInput``."""

import asyncio
import base64
import binascii
import hashlib
import mimetypes
import re
from typing import Protocol

from app.errors import InvalidRequest, PayloadTooLarge
from app.generation import MediaInput, Role
from app.media.fetch import MediaFetcher
from app.media.inspection import (
    MAX_PIXELS,
    SNIFF_BYTES,
    MediaInspector,
    MediaKind,
    kind_of,
    sniff_content_type,
)
from app.media.scratch import ScratchFolder

ROLE_KINDS: dict[Role, tuple[MediaKind, ...]] = {
    "first_frame": ("image",),
    "last_frame": ("image",),
    "reference_image": ("image",),
    "source_video": ("video",),
    "reference_video": ("video",),
    "audio": ("audio",),
    "subject": ("image", "video"),
}
VENDOR_ADDRESS = re.compile(r"(asset|gs|oss|mm_file)://[^\s\x00-\x1f]{1,2000}", re.ASCII)
"""Addresses in a vendor's own store: Ark's portraits, Google's and Alibaba's buckets, MiniMax's files."""
USUAL_TYPES: dict[str, str] = {"image": "image/png", "video": "video/mp4", "audio": "audio/mpeg"}
# Sent by servers that do not know the type of a file. The first bytes decide then.
UNTYPED = ("application/octet-stream", "binary/octet-stream")
URL_SAFE_TO_PLAIN = str.maketrans("-_", "+/")


class UploadedFile(Protocol):
    """An uploaded file, such as Starlette's ``UploadFile``."""

    async def read(self, size: int = -1) -> bytes: ...


class InputReader:
    """Reads inputs within limits in bytes. The limit for video also applies to sound."""

    def __init__(
        self,
        fetcher: MediaFetcher,
        inspector: MediaInspector,
        scratch: ScratchFolder,
        *,
        max_image_bytes: int,
        max_video_bytes: int,
    ) -> None:
        self._fetcher = fetcher
        self._limits: dict[str, int] = {
            "image": max_image_bytes,
            "video": max_video_bytes,
            "audio": max_video_bytes,
        }
        self._inspector = inspector
        self._scratch = scratch

    async def read_input(
        self, value: str | bytes | UploadedFile, *, role: Role, param: str, picture_factor: int = 1
    ) -> MediaInput:
        """The input with ``content``, ``sha256``, ``content_type`` (sniffed) and, for a link, ``url``.

        An address in a vendor's own store stays unread: its input has no ``content``, and a type by its ending.

        ``picture_factor``: a picture may be so many times as large as the limit.

        Raises ``InvalidRequest`` or ``PayloadTooLarge``, both naming ``param``.
        """
        kinds = ROLE_KINDS[role]
        limits = self._limits | {"image": self._limits["image"] * picture_factor}
        if isinstance(value, str) and VENDOR_ADDRESS.fullmatch(value.strip()):
            return _vendor_input(value.strip(), role=role, param=param)
        limit = max(limits[kind] for kind in kinds)
        url = value.strip() if isinstance(value, str) and is_link(value) else None
        content = await self._read_content(value, limit=limit, kinds=kinds, param=param)
        content_type = sniff_content_type(content[:SNIFF_BYTES])
        if kind_of(content_type) not in kinds:
            raise InvalidRequest(f"{param} must be {describe_kinds(kinds)}", param=param)
        if len(content) > limits[kind_of(content_type)]:
            raise too_large_error(param, limits[kind_of(content_type)])
        if kind_of(content_type) == "image":
            await self._check_picture(content, param=param)
        digest = (await asyncio.to_thread(hashlib.sha256, content)).hexdigest()
        return MediaInput(
            role=role, content_type=content_type, sha256=digest, url=url, field=param, content=content
        )

    async def measured(self, clip: MediaInput) -> MediaInput:
        """``clip`` with the length and size that its header states; unchanged where it states none."""
        if clip.content is None:
            return clip
        with self._scratch.files("measure") as files:
            path = files.path("clip")
            await asyncio.to_thread(path.write_bytes, clip.content)
            found = await self._inspector.measure_clip(path)
        if found is None:
            return clip
        size = f"{found.width}x{found.height}"
        return clip.model_copy(update={"seconds": found.seconds or None, "size": size})

    async def read_marks(self, content: bytes) -> tuple[str, ...]:
        """The marks of makers in a film or picture (``aigc``, ``c2pa``); none in what can't be read here."""
        with self._scratch.files("marks") as files:
            path = files.path("film")
            await asyncio.to_thread(path.write_bytes, content)
            return await self._inspector.read_marks(path)

    async def _check_picture(self, content: bytes, *, param: str) -> None:
        """A child process decodes it: a hostile picture can only end that one."""
        with self._scratch.files("picture") as files:
            path = files.path("picture")
            await asyncio.to_thread(path.write_bytes, content)
            found = await self._inspector.check_picture(path)
        if found == "large":
            raise PayloadTooLarge(f"{param} has more than {MAX_PIXELS} pixels", param=param)
        if found == "broken":
            raise InvalidRequest(f"{param} is not a readable image", param=param)

    async def _read_content(
        self, value: str | bytes | UploadedFile, *, limit: int, kinds: tuple[MediaKind, ...], param: str
    ) -> bytes:
        if isinstance(value, str):
            return await self._from_text(value.strip(), limit=limit, kinds=kinds, param=param)
        content = value if isinstance(value, bytes) else await value.read(limit + 1)
        if len(content) > limit:
            raise too_large_error(param, limit)
        if not content:
            raise InvalidRequest(f"{param} is empty", param=param)
        return content

    async def _from_text(self, text: str, *, limit: int, kinds: tuple[MediaKind, ...], param: str) -> bytes:
        if is_link(text):
            accept = tuple(f"{kind}/" for kind in kinds) + UNTYPED
            content, _ = await self._fetcher.fetch_bytes(text, limit=limit, accept=accept, param=param)
            return content
        if text[:5].lower() == "data:":
            head, _, text = text.partition(",")
            if not head.lower().endswith(";base64"):
                raise InvalidRequest(f"{param}: a data URI must be base64", param=param)
        # Four characters hold three bytes; some slack for line breaks and padding.
        if len(text) > limit * 4 // 3 * 1.05 + 16:
            raise too_large_error(param, limit)
        content = await asyncio.to_thread(decode_base64, text, param=param)
        if len(content) > limit:
            raise too_large_error(param, limit)
        return content


def _vendor_input(address: str, *, role: Role, param: str) -> MediaInput:
    guessed = mimetypes.guess_type(address.partition("://")[2].partition("?")[0])[0] or ""
    kinds = ROLE_KINDS[role]
    content_type = guessed if kind_of(guessed) in kinds else USUAL_TYPES[kinds[0]]
    digest = hashlib.sha256(address.encode()).hexdigest()
    return MediaInput(role=role, content_type=content_type, sha256=digest, url=address, field=param)


def is_link(text: str) -> bool:
    return text.lstrip()[:8].lower().startswith(("http://", "https://"))


def decode_base64(text: str, *, param: str) -> bytes:
    """Plain or URL-safe, with or without line breaks and padding. Raises ``InvalidRequest``."""
    plain = "".join(text.split()).translate(URL_SAFE_TO_PLAIN).rstrip("=")
    try:
        content = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"{param} must be a file, a data URI, base64 or an http(s) address"
        raise InvalidRequest(message, param=param) from error
    if not content:
        raise InvalidRequest(f"{param} is empty", param=param)
    return content


def too_large_error(param: str, limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"{param} is larger than the limit of {limit} bytes", param=param)


def describe_kinds(kinds: tuple[MediaKind, ...]) -> str:
    words = {
        "image": "an image (JPEG, PNG, WebP or GIF)",
        "video": "a video (MP4, WebM or QuickTime)",
        "audio": "a sound (MP3, WAV, AAC, FLAC or Ogg)",
    }
    return " or ".join(words[kind] for kind in kinds)
