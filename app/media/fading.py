"""Joins clips of different forms: encoded anew as H.264 and AAC, in the size and at the rate of the first one. The first
pictures of each clip are drawn over the last one of the clip before, so that the film stays as long as its parts.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from app.errors import ResultUndecodable
from app.media.cutting import DEFAULT_FPS, KEY_FRAME_SECONDS, MAX_FPS
from app.media.frames import FRONT_INDEX, THREADS, video_stream
from app.media.vendor_marks import copy_metadata

FADE_SECONDS = 0.3
SOUND_FADE_SECONDS = 0.05
SOUND_RATE, CHANNELS = 48_000, 2
SAME_SHAPE = 0.02
Picture = NDArray[np.uint8]
Samples = NDArray[np.float32]


def fade_clips(sources: Sequence[InputContainer], lengths: Sequence[float], target: Path) -> None:
    """Write the first ``lengths`` (seconds) of each source to ``target``."""
    with av.open(str(target), "w", format="mp4", options=FRONT_INDEX) as out:
        film = _FadedFilm(out, sources)
        for source in sources:
            copy_metadata(source, out)
        for source, seconds in zip(sources, lengths, strict=True):
            film.append(source, seconds)
        film.end()


class _FadedFilm:
    def __init__(self, out: OutputContainer, sources: Sequence[InputContainer]) -> None:
        first = video_stream(sources[0])
        rate = first.average_rate
        self._rate = Fraction(rate if rate and rate <= MAX_FPS else DEFAULT_FPS)
        self._out = out
        self._video = out.add_stream("libx264", rate=self._rate)
        self._video.width, self._video.height = (side // 2 * 2 for side in (first.width, first.height))
        self._video.pix_fmt = "yuv420p"
        self._video.gop_size = round(KEY_FRAME_SECONDS * self._rate)
        self._video.options = {"preset": "veryfast", "crf": "18"}
        self._video.codec_context.thread_count = THREADS
        self._audio = None
        if any(source.streams.audio for source in sources):
            self._audio = out.add_stream("aac", rate=SOUND_RATE, layout="stereo")
            self._audio.bit_rate = 160_000
        self._pictures = 0
        self._last: Picture | None = None

    def append(self, source: InputContainer, seconds: float) -> None:
        count = max(1, round(Fraction(seconds) * self._rate))
        sound = self._read_sound(source, count) if self._audio is not None else None
        source.seek(0)
        begun, before = self._pictures, self._last
        fading = min(count, max(1, round(FADE_SECONDS * self._rate))) if before is not None else 0
        for number, frame in enumerate(_steady(source, count, self._rate)):
            shown = self._fitted(frame)
            if before is not None and number < fading:
                share = (number + 1) / (fading + 1)
                shown = (before * (1 - share) + shown * share).astype(np.uint8)
            self._last = shown
            self._write_picture(shown)
            if sound is not None:
                self._write_sound(sound, first=self._sample(begun), number=self._pictures - 1)

    def end(self) -> None:
        self._out.mux(self._video.encode(None))
        if self._audio is not None:
            self._out.mux(self._audio.encode(None))

    def _sample(self, picture: int) -> int:
        """The first sample that is heard with a picture of the film."""
        return int(picture * SOUND_RATE / self._rate)

    def _write_picture(self, shown: Picture) -> None:
        frame = VideoFrame.from_ndarray(shown, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = self._pictures, 1 / self._rate
        self._out.mux(self._video.encode(frame))
        self._pictures += 1

    def _write_sound(self, sound: Samples, *, first: int, number: int) -> None:
        begin, end = self._sample(number), self._sample(number + 1)
        part = np.ascontiguousarray(sound[:, begin - first : end - first])
        frame = AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
        frame.sample_rate = SOUND_RATE
        frame.pts, frame.time_base = begin, Fraction(1, SOUND_RATE)
        assert self._audio is not None
        self._out.mux(self._audio.encode(frame))

    def _fitted(self, frame: VideoFrame) -> Picture:
        """In the film's size; a picture of another shape gets black bars and is not stretched."""
        width, height = self._video.width, self._video.height
        share = min(width / frame.width, height / frame.height)
        same = math.isclose(frame.width / frame.height, width / height, rel_tol=SAME_SHAPE)
        wide, high = (width, height) if same else (int(frame.width * share), int(frame.height * share))
        inner = frame.to_ndarray(width=max(wide, 1), height=max(high, 1), format="rgb24").astype(
            np.uint8, copy=False
        )
        if same:
            return inner
        whole = np.zeros((height, width, 3), np.uint8)
        top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
        whole[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        return whole

    def _read_sound(self, source: InputContainer, pictures: int) -> Samples:
        """As long as so many pictures, from the first one on; silence where there is none. Its edges are soft: a cut in
        the middle of a wave is heard as a crack."""
        first = self._pictures
        wanted = self._sample(first + pictures) - self._sample(first)
        sound = np.zeros((CHANNELS, wanted), np.float32)
        for at, part in _sound_parts(source):
            begin, skipped = max(at, 0), max(-at, 0)
            heard = part[:, skipped : skipped + max(wanted - begin, 0)]
            sound[:, begin : begin + heard.shape[1]] = heard
        edge = min(wanted // 2, round(SOUND_FADE_SECONDS * SOUND_RATE))
        slope = np.linspace(0, 1, edge, dtype=np.float32)
        if first:
            sound[:, :edge] *= slope
        sound[:, wanted - edge :] *= slope[::-1]
        return sound


def _begin(source: InputContainer) -> float:
    stream = video_stream(source)
    return float((stream.start_time or 0) * (stream.time_base or 0))


def _sound_parts(source: InputContainer) -> Iterator[tuple[int, Samples]]:
    """The decoded sound, each part with the sample at which it begins, counted from the first picture."""
    if not source.streams.audio:
        return
    source.seek(0)
    resampler = AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE)
    begin, at = _begin(source), None
    for frame in source.decode(source.streams.audio[0]):
        at = round(((frame.time or 0.0) - begin) * SOUND_RATE) if at is None else at
        frame.pts = None
        for part in resampler.resample(frame):
            yield at, part.to_ndarray().astype(np.float32)
            at += part.samples
    for part in resampler.resample(None) if at is not None else ():
        yield at or 0, part.to_ndarray().astype(np.float32)


def _steady(source: InputContainer, count: int, rate: Fraction) -> Iterator[VideoFrame]:
    """``count`` pictures at a steady rate: of each moment the one that is shown then."""
    stream = video_stream(source)
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = THREADS
    begin, number = _begin(source), 0
    shown: VideoFrame | None = None
    for frame in source.decode(stream):
        moment = (frame.time or 0.0) - begin
        while shown is not None and number < count and number / rate < moment - 0.001:
            yield shown
            number += 1
        shown = frame
        if number >= count:
            return
    if shown is None:
        raise ResultUndecodable("A segment shows no picture.")
    for _ in range(number, count):
        yield shown
