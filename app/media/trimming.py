"""Cuts the end off a clip without decoding it: the pictures and the sound stay bit for bit what the vendor made.

Runs in a child process, like everything that opens a vendor's file.
"""

from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from app.errors import ResultUndecodable
from app.media.analysis import probe_video
from app.media.frames import READERS, open_clip, video_stream
from app.media.inspection import RESULT_BYTES, MediaInfo, result_content_type

WRITERS = {"video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "webm", "video/x-matroska": "matroska"}
assert set(WRITERS) == set(READERS)
FRONT_INDEX = {"mp4", "mov"}
"""Forms whose index is written to the front, so that a player can begin at once."""


def trim_clip(source: Path, target: Path, *, seconds: float) -> MediaInfo:
    """Write the first ``seconds`` of ``source`` to ``target``, in the same form, and probe the new file.

    It may be longer by the few frames that pictures before the cut refer to. Raises ``ResultUnreadable``, and
    ``ResultUndecodable`` for a clip that can't be written again.
    """
    with source.open("rb") as file:
        content_type = result_content_type(file.read(RESULT_BYTES), kind="video", stated="")
    with open_clip(source) as container:
        writer = WRITERS[content_type]
        options = {"movflags": "+faststart"} if writer in FRONT_INDEX else {}
        streams: list[Stream] = [video_stream(container), *container.streams.audio]
        with av.open(str(target), "w", format=writer, options=options) as out:
            try:
                copies = {stream.index: out.add_stream_from_template(stream) for stream in streams}
            except ValueError as error:
                raise ResultUndecodable("The result has a form that can't be written again.") from error
            for packet in _packets_before(container, streams, seconds=seconds):
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    return probe_video(target)


def _packets_before(
    container: InputContainer, streams: list[Stream], *, seconds: float
) -> Iterator["Packet[Stream]"]:
    """The packets of ``streams`` that are decoded before ``seconds``, in their order."""
    begin = (container.start_time or 0) / av.time_base
    ended: set[int] = set()
    for packet in container.demux(streams):
        if packet.dts is None or packet.time_base is None:
            continue  # the end of a stream
        if float(packet.dts * packet.time_base) - begin >= seconds:
            ended.add(packet.stream.index)
        elif packet.stream.index not in ended:
            yield packet
        if len(ended) == len(streams):
            return
