"""What a file is, told from its first bytes; the name and the declared type are not believed."""

from typing import Literal

MediaKind = Literal["image", "video", "audio"]
SNIFF_BYTES = 64
"""As many of the first bytes as ``sniff`` looks at."""

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
# Pictures in the same box format as MP4; not accepted, so they must not pass for video.
STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"}
MPEG_AUDIO_SYNC = 0xE0
MPEG_AUDIO_LAYER = 0x06


def sniff_content_type(head: bytes) -> str:
    """The content type of a file that begins with ``head``; empty when it is none we know."""
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
