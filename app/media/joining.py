"""Joins the segments of a film: bit for bit as their vendor made them where they are of one form, else encoded anew with
a short cross-fade (``fading.py``). Runs in a child process, like everything that opens a vendor's file.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from PIL import Image

from app.errors import ResultUndecodable
from app.media.analysis import probe_video
from app.media.fading import fade_clips
from app.media.frames import FRONT_INDEX, clip_seconds, open_clip, video_stream
from app.media.inspection import RESULT_BYTES, MediaInfo, result_content_type
from app.media.trimming import INDEXED_FORMS, WRITERS, timed_packets
from app.media.vendor_marks import append_boxes, copy_metadata, maker_boxes

SLACK_SECONDS = 0.25
"""A segment that is longer than asked by so little is not cut: vendors round to whole frames."""
PICTURE_QUALITY = 95


def join_clips(*paths: Path, seconds: Sequence[float]) -> MediaInfo:
    """Write the first ``seconds`` of each clip, one behind the other, to the last of ``paths``, and probe that. Raises
    ``ResultUnreadable``, and ``ResultUndecodable`` for clips that can't be written again."""
    *clips, target = paths
    with ExitStack() as stack:
        sources = [stack.enter_context(open_clip(path)) for path in clips]
        lengths = cut_lengths([_length(source) for source in sources], seconds)
        if len({_form(source, path) for source, path in zip(sources, clips, strict=True)}) == 1:
            _copy_clips(sources, lengths, target, writer=WRITERS[_content_type(clips[0])])
        else:
            fade_clips(sources, lengths, target)
    # A film has one manifest: that of its first segment stands for the others of its maker.
    append_boxes(next((clip for clip in clips if maker_boxes(clip)), clips[0]), target)
    return probe_video(target)


def cut_lengths(made: Sequence[float], asked: Sequence[float]) -> list[float]:
    """How much of each clip is kept, in seconds. Where the last one is cut, the film is exactly as long as asked, however
    the vendor has rounded the clips before."""
    kept = [
        length if length <= wanted + SLACK_SECONDS else wanted
        for length, wanted in zip(made, asked, strict=True)
    ]
    before = sum(kept[:-1])
    if made[-1] > asked[-1] + SLACK_SECONDS and sum(asked) > before:
        kept[-1] = min(made[-1], sum(asked) - before)
    return kept


def save_last_picture(source: Path, target: Path, *, seconds: float) -> None:
    """Write the last picture of the first ``seconds`` as a JPEG: what the next segment begins with. Raises like
    ``join_clips``."""
    with open_clip(source) as container:
        stream = video_stream(container)
        [kept] = cut_lengths([_length(container)], [seconds])
        begin, last = _begin(container), None
        for frame in container.decode(stream):
            if last is not None and (frame.time or 0.0) - begin >= kept - 0.001:
                break
            last = frame
    if last is None:
        raise ResultUndecodable("The segment shows no picture.")
    picture = Image.fromarray(last.to_ndarray(format="rgb24"))
    picture.save(target, "JPEG", quality=PICTURE_QUALITY, subsampling=0)


def _content_type(path: Path) -> str:
    with path.open("rb") as file:
        return result_content_type(file.read(RESULT_BYTES), kind="video", stated="")


def _length(container: InputContainer) -> float:
    return clip_seconds(container, video_stream(container))


def _begin(container: InputContainer) -> float:
    stream = video_stream(container)
    return float((stream.start_time or 0) * (stream.time_base or 0))


def _form(container: InputContainer, path: Path) -> tuple[object, ...]:
    """What must be equal for packets to follow one another: a file has one header for each of its streams."""
    picture = video_stream(container)
    context = picture.codec_context
    form: list[object] = [_content_type(path), context.pix_fmt, round(float(picture.average_rate or 0), 2)]
    for stream in (picture, *container.streams.audio):
        if stream.codec_context is None:
            return (path,)
        form += [stream.codec_context.name, stream.codec_context.profile]
        form.append(bytes(stream.codec_context.extradata or b""))
    form += [
        picture.width,
        picture.height,
        *((each.rate, each.layout.name) for each in container.streams.audio),
    ]
    return tuple(form)


def _copy_clips(
    sources: Sequence[InputContainer], lengths: Sequence[float], target: Path, *, writer: str
) -> None:
    options = FRONT_INDEX if writer in INDEXED_FORMS else {}
    with av.open(str(target), "w", format=writer, options=options) as out:
        joint = _Joint(out, sources[0])
        for source in sources:
            copy_metadata(source, out)
        for source, seconds in zip(sources, lengths, strict=True):
            joint.append(source, seconds)


class _Joint:
    """Appends clips of one form to a file. The times of each begin where the pictures of the one before end."""

    def __init__(self, out: OutputContainer, first: InputContainer) -> None:
        self._out = out
        try:
            self._copies = [out.add_stream_from_template(stream) for stream in _streams(first)]
        except ValueError as error:
            raise ResultUndecodable("The segments have a form that can't be written again.") from error
        self._at = Fraction(0)
        self._latest: dict[int, Fraction] = {}
        """When the latest packet of each stream is decoded: the next one must come later."""

    def append(self, source: InputContainer, seconds: float) -> None:
        """The sound that is longer than the pictures is left out: it would lie over the next clip's."""
        streams = _streams(source)
        begin, end = Fraction(_begin(source)).limit_denominator(1_000_000), Fraction(0)
        limit = Fraction(seconds).limit_denominator(1_000_000)
        places = {stream.index: place for place, stream in enumerate(streams)}
        for packet in timed_packets(source, list(streams)):
            assert packet.pts is not None and packet.dts is not None and packet.time_base is not None
            shown = packet.pts * packet.time_base - begin
            half = (packet.duration or 0) * packet.time_base / 2
            place = places[packet.stream.index]
            if place == 0:
                decoded = packet.dts * packet.time_base - begin
                # A picture that is shown too late is kept where an earlier one is drawn from it.
                if shown + half >= limit and (packet.is_disposable or decoded + half >= limit):
                    continue
                end = max(end, shown + 2 * half)
            elif shown + half >= limit or (self._at and shown + half < 0):
                continue
            self._write(packet, place, begin)
        self._at += end

    def _write(self, packet: "Packet[Stream]", place: int, begin: Fraction) -> None:
        assert packet.pts is not None and packet.dts is not None and packet.time_base is not None
        base = packet.time_base
        later = round((self._at - begin) / base)
        pts, dts = packet.pts + later, packet.dts + later
        if place in self._latest and dts * base <= self._latest[place]:
            dts = int(self._latest[place] / base) + 1
        packet.pts, packet.dts = max(pts, dts), dts
        self._latest[place] = dts * base
        packet.stream = self._copies[place]
        self._out.mux(packet)


def _streams(container: InputContainer) -> tuple[Stream, ...]:
    return (video_stream(container), *container.streams.audio)
