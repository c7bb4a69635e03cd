"""What a media file is, told from its first bytes, and what it holds, told by a child process that decodes it.

Files of clients and upstreams are never decoded in this process: a hostile file can only end a child.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from app.children.pool import ChildLost, ChildPool
from app.errors import InvalidRequest, ResultUndecodable, ResultUnreadable, ServiceUnavailable
from app.foreign import clean_text

DECODER = "app.media.decoder"
PICTURE_CHECKER = "app.media.picture_checker"
THUMBNAIL, SPRITESHEET = "thumbnail.webp", "spritesheet.jpg"
COMPATIBLE, PLAYLIST, SEGMENTS = "compatible.mp4", "stream.m3u8", "stream.m4s"
STORYBOARD = "storyboard.vtt"
PICTURE_SECONDS = 20.0
MAX_PIXELS = 50_000_000
"""Of a picture or frame that is decoded."""
PICTURE_MEMORY_BYTES = 1024**3
DRAWING_NICE = 5
"""By so much the drawing of pictures, and writing films in other forms, is nicer than other decoding."""
DRAWING_SECONDS = 300.0
"""It gets a tenth of a busy core: what takes longer is taken for what can't be drawn."""
UNDECODED = "The result could not be decoded."
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
# The first box of a QuickTime file from before there was ``ftyp``.
QUICKTIME_BOXES = {b"moov", b"mdat", b"wide", b"pnot"}
# What only vendors may send: it is kept, but nothing here decodes it.
RESULT_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"FLV\x01", "video/x-flv"),
    (b"\0\0\x01\xba", "video/mpeg"),
    (b"0&\xb2u\x8ef\xcf\x11", "video/x-ms-asf"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL ", "image/jxl"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"FORM", "audio/aiff"),
    (b"#!AMR", "audio/amr"),
)
RESULT_BYTES = 512
"""How many of the first bytes ``result_content_type`` needs."""
TS_PACKET_BYTES, TS_SYNC = 188, 0x47
STATED_TYPE = re.compile(r"(video|image|audio)/[a-z0-9][a-z0-9.+-]{0,60}")
MPEG_AUDIO_SYNC = 0xE0
MPEG_AUDIO_LAYER = 0x06


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The properties of a file. ``seconds`` and ``fps`` are 0 for a picture. ``compatible``: every player plays it."""

    width: int
    height: int
    seconds: float
    fps: float
    bytes: int
    codec: str
    has_audio: bool
    compatible: bool = False
    marks: tuple[str, ...] = ()
    """Of a film that was labelled: which marks it came with, ``aigc`` or ``c2pa``."""


class MediaInspector:
    """Up to ``workers`` child processes, started when there is work.

    Each may take ``memory_bytes`` of address space, and ``timeout_seconds`` for one file (``drawing_seconds`` where its
    pictures are drawn).
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout_seconds: float = TIMEOUT_SECONDS,
        drawing_seconds: float = DRAWING_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._children = ChildPool(DECODER, str(memory_bytes), size=workers, environment=FEW_ARENAS)
        # On their own, so that no film waits until the pictures of another are drawn.
        self._artists = ChildPool(
            DECODER, str(memory_bytes), str(DRAWING_NICE), size=workers, environment=FEW_ARENAS
        )
        self._checkers = ChildPool(
            PICTURE_CHECKER, str(PICTURE_MEMORY_BYTES), size=workers, environment=FEW_ARENAS
        )
        self._timeout_seconds = timeout_seconds
        self._drawing_seconds = drawing_seconds

    @property
    def process_ids(self) -> list[int]:
        """The ids of the running child processes that probe, cut and draw."""
        return self._children.process_ids + self._artists.process_ids

    async def probe_video(self, path: Path) -> MediaInfo:
        """Read the clip to its end, and decode its first picture. Raises ``ResultUnreadable``, ``ResultUndecodable`` also
        when it takes too long, or ``ServiceUnavailable`` when no process starts."""
        return await self._probe("probe_video", path)

    async def probe_image(self, path: Path) -> MediaInfo:
        """Raises like ``probe_video``."""
        return await self._probe("probe_image", path)

    async def draw_previews(self, path: Path, folder: Path, *, kind: Literal["video", "image"]) -> None:
        """Decode a video or picture, and write ``THUMBNAIL``, and ``SPRITESHEET`` of a video, into ``folder``. Raises like
        ``probe_video``, and ``ServiceUnavailable`` also for a full disk and while this inspector is closed."""
        await self._make_files(create_order(f"draw_{kind}", path, folder))

    async def rewrite_film(self, path: Path, folder: Path, *, form: Literal["compatible", "stream"]) -> None:
        """Write a film as ``COMPATIBLE``, or as ``PLAYLIST`` and ``SEGMENTS``, into ``folder``. Raises like
        ``draw_previews``."""
        await self._make_files(create_order(form, path, folder))

    async def measure_clip(self, path: Path) -> MediaInfo | None:
        """What a clip's header says; None where it says nothing that is read here. Raises ``ServiceUnavailable``."""
        try:
            return await self._probe("measure", path)
        except (ResultUnreadable, ResultUndecodable):
            return None

    async def check_picture(self, path: Path) -> Literal["whole", "broken", "large"]:
        """What a client's picture is; one that takes too long or too much memory is broken. Raises
        ``ServiceUnavailable`` when no process starts."""
        try:
            answer = await self._checkers.run_order(create_order("check", path), seconds=PICTURE_SECONDS)
        except ChildLost:
            return "broken"
        except OSError as error:
            log.error("decoder.refused", error=str(error))
            raise ServiceUnavailable("No process could be started to look at the picture.") from error
        refused = answer.get("refused")
        return "whole" if refused is None else "large" if refused == "large" else "broken"

    async def cut_clip(self, path: Path, target: Path, *, start: float, end: float) -> MediaInfo:
        """Write a part of a clip (times in seconds) to ``target`` and probe it. Raises like ``probe_video``, and
        ``InvalidRequest`` when the clip ends before ``end``."""
        return await self._probe("cut", path, target, start=start, end=end)

    async def trim_clip(self, path: Path, target: Path, *, seconds: float) -> MediaInfo:
        """Write the first ``seconds`` of a clip to ``target``, without decoding it, and probe that. Raises like
        ``probe_video``."""
        return await self._probe("trim", path, target, seconds=seconds)

    async def join_clips(self, paths: Sequence[Path], target: Path, *, seconds: Sequence[float]) -> None:
        """Write the first ``seconds`` of each clip to ``target``, one behind the other. Raises like ``draw_previews``."""
        await self._make_files(create_order("join", *paths, target, seconds=list(seconds)))

    async def save_last_picture(self, path: Path, target: Path, *, seconds: float) -> None:
        """Write the last picture of a clip's first ``seconds`` as a JPEG. Raises like ``draw_previews``."""
        await self._make_files(create_order("last_picture", path, target, seconds=seconds))

    async def label_film(self, path: Path, target: Path, **label: str | float) -> MediaInfo:
        """Write a film or picture with its labels to ``target``, and probe that; ``label`` as ``label_clip`` or
        ``label_picture`` take it (``labels/marking.py``). Raises like ``probe_video``."""
        work = "label_clip" if "seconds" in label else "label_picture"
        order = create_order(work, path, target, **label)
        return await self._read_probe(order, limit=self._drawing_seconds)

    async def read_marks(self, path: Path) -> tuple[str, ...]:
        """The marks of makers in a film or picture; none in what can't be read here. Raises ``ServiceUnavailable``."""
        try:
            return (await self._probe("marks", path)).marks
        except (ResultUnreadable, ResultUndecodable):
            return ()

    async def close(self) -> None:
        """End the processes. Files that are being inspected count as unreadable."""
        for pool in (self._children, self._artists, self._checkers):
            await pool.close()

    async def _make_files(self, order: dict[str, Any]) -> None:
        try:
            await self._run_order(self._artists, order, limit=self._drawing_seconds)
        except ResultUnreadable as error:
            if self._artists.is_closed:  # which says nothing about the film
                raise ServiceUnavailable("The gateway is stopping.") from error
            raise

    async def _probe(self, work: str, *paths: Path, **options: float) -> MediaInfo:
        return await self._read_probe(create_order(work, *paths, **options), limit=self._timeout_seconds)

    async def _read_probe(self, order: dict[str, Any], *, limit: float) -> MediaInfo:
        answer = await self._run_order(self._children, order, limit=limit)
        try:
            found = dict(answer["probe"])
            return MediaInfo(**found | {"marks": tuple(found.get("marks", ()))})  # JSON knows lists only
        except (KeyError, TypeError) as error:
            raise ResultUndecodable(UNDECODED) from error

    async def _run_order(self, pool: ChildPool, order: dict[str, Any], *, limit: float) -> dict[str, Any]:
        try:
            answer = await pool.run_order(order, seconds=limit)
        except ChildLost as error:
            raise ResultUnreadable(UNDECODED) if pool.is_closed else ResultUndecodable(UNDECODED) from error
        except OSError as error:
            log.error("decoder.refused", error=str(error))
            raise ServiceUnavailable("No process could be started to look at the result.") from error
        if "short" in answer:
            raise InvalidRequest(f"The clip is only {answer['short']:g} seconds long")
        if "unreadable" in answer:
            raise ResultUnreadable(str(answer["unreadable"]))
        if "undecodable" in answer:
            raise ResultUndecodable(str(answer["undecodable"]))
        if "unwritable" in answer:
            log.error("decoder.unwritable", error=answer["unwritable"])
            raise ServiceUnavailable("The disk can't be written just now.")
        return answer


def create_order(work: str, *paths: Path, **options: float | str | list[float]) -> dict[str, Any]:
    # Absolute, because the child keeps the working directory that it was started in.
    return {"work": work, "paths": [str(path.absolute()) for path in paths], "options": options}


def sniff_content_type(head: bytes) -> str:
    """The content type of a file that begins with ``head``; empty when it is unknown."""
    for prefix, content_type in PREFIXES:
        if head.startswith(prefix):
            return content_type
    if head[:4] == b"RIFF":
        return RIFF_FORMS.get(head[8:12], "")
    if head[4:8] in QUICKTIME_BOXES:
        return "video/quicktime"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "" if brand in STILL_BRANDS else BRANDS.get(brand, "video/mp4")
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm" if b"webm" in head[:SNIFF_BYTES] else "video/x-matroska"
    return sniff_bare_audio(head)


def result_content_type(head: bytes, *, kind: str, stated: str) -> str:
    """The content type of a vendor's file that begins with ``head``, as far as it can be known; ``stated`` by the vendor.

    Raises ``ResultUnreadable`` for what is clearly no media: nothing, a page, an error document, another text.
    """
    if not head:
        raise ResultUnreadable("The result is empty.")
    content_type = sniff_content_type(head) or sniff_result(head)
    if not content_type and is_text(head):
        raise ResultUnreadable(
            f"The result is a text and no {kind}: {clean_text(head.decode(errors='replace'), 80)}"
        )
    if content_type == "audio/ogg" or (kind == "audio" and content_type == "video/mp4"):
        return content_type.replace(kind_of(content_type), kind)  # these hold pictures or sound
    if content_type:
        return content_type
    stated = stated.lower()
    return stated if STATED_TYPE.fullmatch(stated) and "svg" not in stated else "application/octet-stream"


def sniff_result(head: bytes) -> str:
    """Formats that are kept without being decoded; empty when it is none of them."""
    if head[4:8] == b"ftyp" and head[8:12] in STILL_BRANDS:
        return "image/avif" if head[8:11] == b"avi" else "image/heic"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "video/x-msvideo"
    if head[0] == TS_SYNC and head[TS_PACKET_BYTES : TS_PACKET_BYTES + 1] == bytes([TS_SYNC]):
        return "video/mp2t"
    return next((content_type for prefix, content_type in RESULT_PREFIXES if head.startswith(prefix)), "")


def is_text(head: bytes) -> bool:
    """Whether a file that begins so is a page, a document or another text."""
    try:
        text = head[:RESULT_BYTES].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else a character that goes on behind ``head``
            return False
        text = head[: error.start].decode("utf-8-sig")
    return all(mark.isprintable() or mark.isspace() for mark in text)


def sniff_bare_audio(head: bytes) -> str:
    """MPEG audio without a tag in front: eleven set bits, then a layer that is not reserved."""
    if len(head) < 2 or head[0] != 0xFF or head[1] & MPEG_AUDIO_SYNC != MPEG_AUDIO_SYNC:
        return ""
    return "audio/mpeg" if head[1] & MPEG_AUDIO_LAYER else "audio/aac"


def kind_of(content_type: str) -> str:
    return content_type.partition("/")[0]
