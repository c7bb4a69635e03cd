"""Cuts the end off a clip without decoding it: the pictures and the sound stay bit for bit what the vendor made.

Runs in a child process, like everything that opens a vendor's file.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from app.errors import ResultUndecodable
from app.media.analysis import probe_video
from app.media.frames import FRONT_INDEX, READERS, open_clip, video_stream
from app.media.inspection import RESULT_BYTES, MediaInfo, result_content_type
from app.media.vendor_marks import append_boxes, copy_metadata

WRITERS = {"video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "webm", "video/x-matroska": "matroska"}
assert set(WRITERS) == set(READERS)
INDEXED_FORMS = {"mp4", "mov"}


def trim_clip(source: Path, target: Path, *, seconds: float) -> MediaInfo:
    """Write the first ``seconds`` of ``source`` to ``target``, in the same form, and probe the new file.

    It may be longer by the few frames that pictures before the cut refer to. Raises ``ResultUnreadable``, and
    ``ResultUndecodable`` for a clip that can't be written again.
    """
    with source.open("rb") as file:
        content_type = result_content_type(file.read(RESULT_BYTES), kind="video", stated="")
    with open_clip(source) as container:
        writer = WRITERS[content_type]
        options = FRONT_INDEX if writer in INDEXED_FORMS else {}
        with av.open(str(target), "w", format=writer, options=options) as out:
            copy_packets(container, out, seconds=seconds)
    append_boxes(source, target)
    return probe_video(target)


def copy_packets(source: InputContainer, out: OutputContainer, *, seconds: float = math.inf) -> None:
    """Write what is decoded before ``seconds`` as it is, and the metadata. Raises ``ResultUndecodable`` where ``out`` can't
    hold it."""
    copy_metadata(source, out)
    streams: list[Stream] = [video_stream(source), *source.streams.audio]
    try:
        copies = {stream.index: out.add_stream_from_template(stream) for stream in streams}
    except ValueError as error:
        raise ResultUndecodable("The result has a form that can't be written again.") from error
    for packet in _packets_before(source, streams, seconds=seconds):
        packet.stream = copies[packet.stream.index]
        out.mux(packet)


def _packets_before(
    container: InputContainer, streams: list[Stream], *, seconds: float
) -> Iterator["Packet[Stream]"]:
    """The packets of ``streams`` that are decoded before ``seconds``, in their order."""
    begin = (container.start_time or 0) / av.time_base
    ended: set[int] = set()
    for packet in timed_packets(container, streams):
        assert packet.dts is not None
        assert packet.time_base is not None
        if float(packet.dts * packet.time_base) - begin >= seconds:
            ended.add(packet.stream.index)
        elif packet.stream.index not in ended:
            yield packet
        if len(ended) == len(streams):
            return


def timed_packets(container: InputContainer, streams: list[Stream]) -> Iterator["Packet[Stream]"]:
    """All packets, with the times at which they are decoded. Matroska does not store these: the reader works them out and
    leaves the first ones of a stream open, so they are counted back from the first that is known."""
    early: dict[int, list[Packet[Stream]]] = {}
    for packet in container.demux(streams):
        if not packet.size:
            continue  # the end of a stream
        waiting = early.setdefault(packet.stream_index, [])
        waiting.append(packet)
        if packet.dts is None:
            continue
        step = packet.duration or 1
        for place, each in enumerate(reversed(waiting)):
            each.dts = packet.dts - place * step
        yield from waiting
        waiting.clear()
    for waiting in early.values():
        for each in waiting:
            each.dts = each.pts
        yield from waiting
