"""How long a sound is, from the head of its file; where the file does not say, as long as it could be at most.

Only fixed fields are read, nothing is decoded: the answer decides what is held for a call, not what is heard.
"""

import struct
from decimal import Decimal

SLOWEST_BYTES_PER_SECOND = 1000
"""Of speech in the slowest codec that is in use (Opus at 8 kbit/s), for files that do not say how long they are."""
MP3_KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
MP3_LOW_KBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
"""MPEG 1, and MPEG 2 and 2.5, layer III, by the header's four bits."""
MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8000)}
OPUS_RATE = 48_000
HEAD_BYTES = 64 * 1024
MOST_SECONDS = Decimal(7 * 86_400)


def longest_seconds(content: memoryview | bytes) -> Decimal:
    """Seconds of the sound in ``content``; never 0, and never more than its bytes can hold."""
    data = bytes(content[:HEAD_BYTES])
    fallback = Decimal(len(content)) / SLOWEST_BYTES_PER_SECOND
    try:
        stated = _stated_seconds(data, content)
    except (struct.error, IndexError, ZeroDivisionError):
        stated = None
    if stated is None or stated <= 0:
        stated = fallback
    return min(max(stated, Decimal(1)), MOST_SECONDS)


def _stated_seconds(head: bytes, content: memoryview | bytes) -> Decimal | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _wav_seconds(head, len(content))
    if head[:4] == b"fLaC":
        return _flac_seconds(head)
    if head[:4] == b"OggS":
        return _ogg_seconds(head, bytes(content[-HEAD_BYTES:]))
    if head[4:8] == b"ftyp":
        return _mp4_seconds(bytes(content))
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0):
        return _mp3_seconds(head, content)
    return None


def _wav_seconds(head: bytes, size: int) -> Decimal | None:
    at = head.find(b"fmt ")
    if at < 0:
        return None
    _, channels, rate, stated, _, bits = struct.unpack_from("<HHIIHH", head, at + 8)
    # A file may state a higher data rate than its format has, and seem shorter than it is.
    rates = [each for each in (stated, channels * rate * bits // 8) if each > 0]
    return Decimal(size) / min(rates) if rates else None


def _flac_seconds(head: bytes) -> Decimal | None:
    packed = int.from_bytes(head[18:26], "big")
    rate, samples = packed >> 44, packed & ((1 << 36) - 1)
    return Decimal(samples) / rate if samples else None


def _ogg_seconds(head: bytes, tail: bytes) -> Decimal | None:
    last = tail.rfind(b"OggS")
    if last < 0:
        return None
    position = int.from_bytes(tail[last + 6 : last + 14], "little", signed=True)
    vorbis = head.find(b"\x01vorbis")
    rate = int.from_bytes(head[vorbis + 12 : vorbis + 16], "little") if vorbis >= 0 else OPUS_RATE
    return Decimal(position) / rate


def _mp4_seconds(content: bytes) -> Decimal | None:
    """The longest of the lengths that the film and its tracks state."""
    lengths: list[Decimal] = []
    for name in (b"mvhd", b"mdhd"):
        at = content.find(name)
        while at >= 0 and len(lengths) < 100:
            wide = content[at + 4] == 1
            scale, length = struct.unpack_from(">IQ" if wide else ">II", content, at + (24 if wide else 16))
            if scale:
                lengths.append(Decimal(length) / scale)
            at = content.find(name, at + 4)
    return max(lengths, default=None)


def _mp3_seconds(head: bytes, content: memoryview | bytes) -> Decimal | None:
    start = 0
    if head[:3] == b"ID3":
        size = head[6:10]
        start = 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    frame = bytes(content[start : start + 2048])
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    version = frame[1] >> 3 & 3
    rate = MP3_RATES[version][frame[2] >> 2 & 3] if version in MP3_RATES else 0
    kbits = (MP3_KBITS if version == 3 else MP3_LOW_KBITS)[frame[2] >> 4]
    for name in (b"Xing", b"Info"):
        at = frame.find(name)
        if at >= 0 and frame[at + 7] & 1:
            frames = int.from_bytes(frame[at + 8 : at + 12], "big")
            return Decimal(frames) * (1152 if version == 3 else 576) / rate
    return Decimal(len(content) - start) / (kbits * 125)
