"""What a media file is, told from its first bytes, and what it holds, told by a child process that decodes it.

Files of clients and upstreams are never decoded in this process: a hostile file can only end a child.
"""

from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from app.children.pool import ChildLost, ChildPool
from app.errors import InvalidRequest, ResultUnreadable, ServiceUnavailable

DECODER = "app.media.decoder"
TIMEOUT_SECONDS = 60.0
MEMORY_BYTES = 2 * 1024**3
# Each thread has a memory arena, which reserves a part of the address space that the process may use.
FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}

log = structlog.get_logger(__name__)

MediaKind = Literal["image", "video", "audio"]
SNIFF_BYTES = 64
"""How many of the first bytes ``sniff_content_type`` needs."""

PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
)
RIFF_FORMS = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
BRANDS = {b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4"}
# Pictures in the box format of MP4. They are not accepted and must not be taken for video.
STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"}
MPEG_AUDIO_SYNC = 0xE0
MPEG_AUDIO_LAYER = 0x06


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The properties of a file. ``seconds`` and ``fps`` are 0 for a picture."""

    width: int
    height: int
    seconds: float
    fps: float
    bytes: int
    codec: str
    has_audio: bool


@dataclass(frozen=True, slots=True)
class MediaInspection:
    """``thumbnail`` is WebP, ``spritesheet`` JPEG (None for a picture)."""

    probe: MediaInfo
    thumbnail: bytes
    spritesheet: bytes | None

    def as_json(self) -> dict[str, Any]:
        sheet = None if self.spritesheet is None else b64encode(self.spritesheet).decode()
        return {
            "probe": asdict(self.probe),
            "thumbnail": b64encode(self.thumbnail).decode(),
            "spritesheet": sheet,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "MediaInspection":
        sheet = value["spritesheet"]
        return cls(
            probe=MediaInfo(**value["probe"]),
            thumbnail=b64decode(value["thumbnail"]),
            spritesheet=None if sheet is None else b64decode(sheet),
        )


class MediaInspector:
    """Up to ``workers`` child processes, started when there is work.

    Each may take ``memory_bytes`` of address space, and ``timeout_seconds`` for one file.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout_seconds: float = TIMEOUT_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._children = ChildPool(DECODER, str(memory_bytes), size=workers, environment=FEW_ARENAS)
        self._timeout_seconds = timeout_seconds

    @property
    def process_ids(self) -> list[int]:
        """The ids of the running child processes."""
        return self._children.process_ids

    async def inspect_video(self, path: Path) -> MediaInspection:
        """Decode the clip once. Raises ``ResultUnreadable``, or ``ServiceUnavailable`` when no process starts."""
        return await self._inspect_file("video", path)

    async def inspect_image(self, path: Path) -> MediaInspection:
        """Raises like ``inspect_video``."""
        return await self._inspect_file("image", path)

    async def cut_clip(self, path: Path, target: Path, *, start: float, end: float) -> MediaInspection:
        """Write a part of a clip (times in seconds) to ``target`` and inspect it. Raises like ``inspect_video``, and
        ``InvalidRequest`` when the clip ends before ``end``."""
        return await self._run_order(
            create_order("cut", path)
            | create_order("cut", target, name="target")
            | {"start": start, "end": end}
        )

    async def close(self) -> None:
        """End the processes. Files that are being inspected count as unreadable."""
        await self._children.close()

    async def _inspect_file(self, kind: Literal["video", "image"], path: Path) -> MediaInspection:
        return await self._run_order(create_order(kind, path))

    async def _run_order(self, wanted: dict[str, Any]) -> MediaInspection:
        try:
            answer = await self._children.run_order(wanted, seconds=self._timeout_seconds)
            if "short" in answer:
                raise InvalidRequest(f"The clip is only {answer['short']:g} seconds long")
            if "unreadable" in answer:
                raise ResultUnreadable(str(answer["unreadable"]))
            return MediaInspection.from_json(answer)
        except (ChildLost, KeyError, TypeError, ValueError) as error:
            raise ResultUnreadable("The result could not be decoded.") from error
        except OSError as error:
            log.error("decoder.refused", error=str(error))
            raise ServiceUnavailable("No process could be started to look at the result.") from error


def create_order(kind: str, path: Path, *, name: str = "path") -> dict[str, Any]:
    # Absolute, because the child keeps the working directory that it was started in.
    return {"kind": kind, name: str(path.absolute())}


def sniff_content_type(head: bytes) -> str:
    """The content type of a file that begins with ``head``; empty when it is unknown."""
    for prefix, content_type in PREFIXES:
        if head.startswith(prefix):
            return content_type
    if head[:4] == b"RIFF":
        return RIFF_FORMS.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "" if brand in STILL_BRANDS else BRANDS.get(brand, "video/mp4")
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm" if b"webm" in head[:SNIFF_BYTES] else "video/x-matroska"
    return sniff_bare_audio(head)


def sniff_bare_audio(head: bytes) -> str:
    """MPEG audio without a tag in front: eleven set bits, then a layer that is not reserved."""
    if len(head) < 2 or head[0] != 0xFF or head[1] & MPEG_AUDIO_SYNC != MPEG_AUDIO_SYNC:
        return ""
    return "audio/mpeg" if head[1] & MPEG_AUDIO_LAYER else "audio/aac"


def kind_of(content_type: str) -> str:
    return content_type.partition("/")[0]
