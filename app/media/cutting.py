"""Cuts a part out of a clip, as H.264 and AAC. Runs in a child process, like all decoding."""

import math
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from app.media.analysis import probe_video
from app.media.frames import FRONT_INDEX, THREADS, describe_clip, open_clip, video_stream
from app.media.inspection import MediaInfo

LONGEST_EDGE = 1920
TICKS = Fraction(1, 90_000)
MAX_FPS, DEFAULT_FPS = 60, 24
"""Frames per second: the maximum, and the default for a clip that states none."""
KEY_FRAME_SECONDS = 2
"""Between the pictures at which a player can begin."""
SLACK_SECONDS = 0.1
"""How far the part may reach past the end of the clip, because stated lengths are often rounded."""


class TooShort(Exception):
    """The clip ends before the part does. ``seconds`` is the length of the clip."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The clip is {seconds:g} seconds long.")
        self.seconds = seconds


def cut_clip(source: Path, target: Path, *, start: float, end: float) -> MediaInfo:
    """Write the part of ``source`` from ``start`` to ``end`` (seconds) to ``target``, and probe the new file.

    Raises ``TooShort``, or ``ResultUnreadable``.
    """
    with open_clip(source) as container:
        info = describe_clip(container, path=source)
        if end > info.seconds + SLACK_SECONDS:
            raise TooShort(info.seconds)
        with av.open(str(target), "w", format="mp4", options=FRONT_INDEX) as out:
            ClipEncoder(container, out, start=start, end=end).copy_frames()
    return probe_video(target)


class ClipEncoder:
    """Writes the frames between two times (seconds) as H.264 and AAC, in one pass."""

    longest_edge = LONGEST_EDGE
    options: ClassVar[dict[str, str]] = {"preset": "veryfast", "crf": "20"}

    def __init__(
        self, source: InputContainer, out: OutputContainer, *, start: float = 0.0, end: float = math.inf
    ) -> None:
        self._source = source
        self._out = out
        self._start, self._end = start, end
        self._begin = (source.start_time or 0) / av.time_base
        self._picture = video_stream(source)
        self._picture.thread_type = "AUTO"
        self._picture.codec_context.thread_count = THREADS
        self._sound = source.streams.audio[0] if source.streams.audio else None
        self._video = self._open_video(self._picture)
        self._audio = self._open_audio(self._sound) if self._sound else None

    def copy_frames(self) -> None:
        self._source.seek(max(0, round((self._start + self._begin) * av.time_base)))
        wanted = [stream for stream in (self._picture, self._sound) if stream is not None]
        ended: set[int] = set()
        for packet in self._source.demux(wanted):
            for frame in () if packet.stream.index in ended else packet.decode():
                assert isinstance(frame, VideoFrame | AudioFrame)
                moment = (frame.time or 0.0) - self._begin
                if moment >= self._end:
                    ended.add(packet.stream.index)
                elif moment >= self._start:
                    self._encode_frame(frame, moment - self._start)
            if len(ended) == len(wanted):
                break
        self._out.mux(self._video.encode(None))
        if self._audio is not None:
            self._out.mux(self._audio.encode(None))

    def _encode_frame(self, frame: VideoFrame | AudioFrame, seconds: float) -> None:
        if isinstance(frame, VideoFrame):
            shown = frame.reformat(width=self._video.width, height=self._video.height, format="yuv420p")
            shown = self._draw_over(shown, seconds)
            shown.pts, shown.time_base = round(seconds / TICKS), TICKS
            self._out.mux(self._video.encode(shown))
        elif self._audio is not None:
            frame.pts, frame.time_base = round(seconds * frame.sample_rate), Fraction(1, frame.sample_rate)
            self._out.mux(self._audio.encode(frame))

    def _draw_over(self, frame: VideoFrame, seconds: float) -> VideoFrame:
        """What is shown ``seconds`` after the beginning, in 4:2:0."""
        return frame

    def _open_video(self, stream: VideoStream) -> VideoStream:
        rate = stream.average_rate
        track = self._out.add_stream("libx264", rate=rate if rate and rate <= MAX_FPS else DEFAULT_FPS)
        share = min(1.0, self.longest_edge / max(stream.width, stream.height))
        track.width, track.height = (
            max(2, int(side * share) // 2 * 2) for side in (stream.width, stream.height)
        )
        track.pix_fmt = "yuv420p"
        track.gop_size = round(KEY_FRAME_SECONDS * track.codec_context.framerate)
        track.options = dict(self.options)
        track.codec_context.time_base = TICKS
        track.codec_context.thread_count = THREADS
        return track

    def _open_audio(self, stream: AudioStream) -> AudioStream:
        track = self._out.add_stream("aac", rate=48_000, layout="stereo")
        track.bit_rate = 128_000
        return track
