"""Reads clips: their properties, whether they are whole, and their frames at given times in a single pass."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from app.errors import ResultUndecodable, ResultUnreadable
from app.media.inspection import MAX_PIXELS, RESULT_BYTES, MediaInfo, result_content_type

# The demuxer is fixed here. If the library chose it, some formats (playlists) would open other files.
READERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
}
# Pictures that do not move.
PICTURES = {"image/jpeg", "image/png"}
NO_DECODER = (
    av.error.DecoderNotFoundError,
    av.error.PatchWelcomeError,
    av.error.NotImplementedError,
    av.error.ExperimentalError,
)
PLAYABLE_PIXELS = {"yuv420p", "yuvj420p"}
# The index of an MP4 is written to the front, so that a player can begin at once; and it keeps metadata of any name, such
# as a label that says who made it.
FRONT_INDEX = {"movflags": "+faststart+use_metadata_tags"}
# Beyond this length, in seconds, only key frames are decoded.
EVERY_FRAME_SECONDS = 60.0
# Each decoding thread keeps its own frames, and a machine may have a hundred cores.
THREADS = 2
# A complete clip may be shorter than its stated length by this share and this many seconds.
MISSING_SHARE = 0.05
MISSING_SECONDS = 0.5
# The boxes of an MP4 file that hold pictures or the index to them.
VITAL = {b"moov", b"mdat", b"moof"}
HEADER_BYTES, LONG_HEADER_BYTES = 8, 16


@contextmanager
def open_clip(path: Path) -> Iterator[InputContainer]:
    """Raises ``ResultUnreadable`` when the file is no clip, and for decoding errors inside the block;
    ``ResultUndecodable`` when it may be one of a form or codec that is not known here."""
    try:
        with path.open("rb") as file:
            head = file.read(RESULT_BYTES)
        content_type = result_content_type(head, kind="video", stated="")
        if content_type in PICTURES:
            raise ResultUnreadable(f"The result is {content_type} and no video.")
        if content_type not in READERS:
            raise ResultUndecodable(f"There is no decoder for {content_type} here.")
        reader = READERS[content_type]
        if reader == "mov" and is_cut_short(path):
            raise ResultUnreadable("The result is cut short.")
        with av.open(str(path), format=reader, options={"protocol_whitelist": "file"}) as container:
            yield container
    except MemoryError:  # one of the library's errors is this one too
        raise
    except NO_DECODER as error:
        raise ResultUndecodable("There is no decoder for the result here.") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ResultUnreadable("The result is broken or cut short.") from error


def video_stream(container: InputContainer) -> VideoStream:
    if not container.streams.video:
        raise ResultUnreadable("The result holds no picture.")
    stream = container.streams.video[0]
    if stream.codec_context is None:  # although its type says that there is one
        raise ResultUndecodable("There is no decoder for the result's codec here.")
    if not 0 < stream.width * stream.height <= MAX_PIXELS:
        raise ResultUndecodable("The result has a size that is not decoded here.")
    return stream


def describe_clip(container: InputContainer, *, path: Path) -> MediaInfo:
    stream = video_stream(container)
    return MediaInfo(
        width=stream.width,
        height=stream.height,
        seconds=round(clip_seconds(container, stream), 3),
        fps=round(float(stream.average_rate or 0), 3),
        bytes=path.stat().st_size,
        codec=stream.codec_context.name,
        has_audio=bool(container.streams.audio),
        compatible=is_playable(container) and has_front_index(path),
    )


def is_playable(container: InputContainer) -> bool:
    """Whether every browser decodes it: H.264 in 8 bits and 4:2:0, with AAC or without sound."""
    picture = video_stream(container).codec_context
    sounds = {stream.codec_context.name if stream.codec_context else "" for stream in container.streams.audio}
    return picture.name == "h264" and picture.pix_fmt in PLAYABLE_PIXELS and sounds <= {"aac"}


def clip_seconds(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


class LengthCheck:
    """Sees how far the packets of a clip reach. All streams count: sound may be longer than the picture."""

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        self._ends: dict[int, int] = {}

    def record(self, packet: "Packet[Stream]") -> None:
        # Once for each packet of a film, so in whole ticks of its stream: fractions are slow.
        start = packet.pts
        if start is not None:
            number, end = packet.stream_index, start + (packet.duration or 0)
            if end > self._ends.get(number, -1):
                self._ends[number] = end

    def require(self, seconds: float) -> None:
        """Raises ``ResultUnreadable`` when the clip ends long before ``seconds``."""
        begin = (self._container.start_time or 0) / av.time_base
        bases = {number: self._container.streams[number].time_base or 0 for number in self._ends}
        reached = max((float(end * bases[number]) for number, end in self._ends.items()), default=begin)
        if reached - begin < seconds * (1 - MISSING_SHARE) - MISSING_SECONDS:
            raise ResultUnreadable("The result is broken or cut short.")


def check_whole(container: InputContainer, *, seconds: float) -> None:
    """Read the clip to its end and decode its first picture only. Raises ``ResultUnreadable`` when it ends before
    ``seconds`` or shows no picture."""
    stream = video_stream(container)
    stream.codec_context.thread_count = 1
    length, is_shown = LengthCheck(container), False
    for packet in container.demux():
        length.record(packet)
        if not is_shown and packet.stream_index == stream.index:
            is_shown = bool(stream.decode(packet))
    if not is_shown:
        raise ResultUnreadable("The result is broken or cut short.")
    length.require(seconds)


def pick_frames(
    container: InputContainer, moments: list[float], *, seconds: float
) -> Iterator[tuple[int, VideoFrame]]:
    """For each of the ascending ``moments`` (seconds): its index and the frame shown then, or the last frame.

    Reads to the end of the file. Raises ``ResultUnreadable`` when the clip ends before ``seconds``.
    """
    stream = video_stream(container)
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = THREADS
    if seconds > EVERY_FRAME_SECONDS:
        stream.codec_context.skip_frame = "NONKEY"
    begin = (container.start_time or 0) / av.time_base
    last: VideoFrame | None = None
    index = 0
    length = LengthCheck(container)
    for packet in container.demux():
        length.record(packet)
        for frame in stream.decode(packet) if packet.stream is stream else ():
            last = frame
            while index < len(moments) and (frame.time or 0.0) - begin >= moments[index]:
                yield index, frame
                index += 1
    if last is None:
        raise ResultUnreadable("The result is broken or cut short.")
    length.require(seconds)
    for missing in range(index, len(moments)):
        yield missing, last


def is_cut_short(path: Path) -> bool:
    """True when a box with pictures or the index to them runs past the end of the file.

    Odd bytes after the last such box are no fault: players overlook them, and so do we.
    """
    total = path.stat().st_size
    with path.open("rb") as file:
        position = 0
        while position + HEADER_BYTES <= total:
            size, kind = read_box(file, position)
            if kind in VITAL and position + size > total:
                return True
            if size < HEADER_BYTES:  # 0 means "up to the end", other small sizes are nonsense
                return False
            position += size
    return False


def has_front_index(path: Path) -> bool:
    """Whether it is an MP4 whose index comes before its pictures, so that a player can begin at once."""
    total, position = path.stat().st_size, 0
    with path.open("rb") as file:
        while position + HEADER_BYTES <= total:
            size, kind = read_box(file, position)
            if kind in VITAL or size < HEADER_BYTES:
                return kind == b"moov"
            position += size
    return False


def read_box(file: BinaryIO, position: int) -> tuple[int, bytes]:
    file.seek(position, os.SEEK_SET)
    header = file.read(LONG_HEADER_BYTES)
    size, kind = int.from_bytes(header[:4], "big"), header[4:HEADER_BYTES]
    return (int.from_bytes(header[HEADER_BYTES:], "big") if size == 1 else size), kind
