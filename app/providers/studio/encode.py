"""The sound of a clip and its MP4 file: H.264 and AAC, with the index at the front."""

import math
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

RATE = 48_000
_LEVEL = 10 ** (-30 / 20)
_ROOTS = (98.0, 110.0, 123.47, 130.81, 146.83)
_CHORDS = ((0, 7, 12, 16, 23), (0, 7, 12, 15, 22), (0, 7, 14, 16, 19), (0, 5, 12, 17, 21))
_THREADS = 2
"""Fixed, so that every machine encodes the same bytes."""


class AmbientChord:
    """Five slowly swelling tones, faded in and out over ``seconds``."""

    def __init__(self, seconds: float, *, seed: int, audible: bool) -> None:
        generator = np.random.default_rng(seed)
        root = _ROOTS[seed % len(_ROOTS)]
        self.seconds = seconds
        self.level = _LEVEL * 0.9 if audible else 0.0
        self.tones = [root * 2 ** (step / 12) for step in _CHORDS[seed // 8 % len(_CHORDS)]]
        self.phases = generator.random((len(self.tones), 3)) * math.tau

    def sample_block(self, start: int, count: int) -> NDArray[np.float32]:
        """``count`` stereo samples from sample ``start`` on, one row per channel."""
        time = (start + np.arange(count)) / RATE
        left, right = np.zeros(count), np.zeros(count)
        for number, (tone, phases) in enumerate(zip(self.tones, self.phases, strict=True)):
            swell = (1 + 0.5 * np.sin(time * (0.5 + 0.17 * number) + phases[2])) / (1 + 0.5 * number)
            left += swell * np.sin(math.tau * tone * time + phases[0])
            right += swell * np.sin(math.tau * (tone * 1.0015) * time + phases[1])
        fade = np.clip(time / min(1.0, self.seconds / 3), 0, 1)
        fade *= np.clip((self.seconds - time) / min(1.5, self.seconds / 3), 0, 1)
        return np.asarray(np.stack([left, right]) * (fade * self.level), dtype=np.float32)


class Mp4Writer:
    """Context manager: add frames and sound alternately; the file is complete after the exit."""

    def __init__(
        self, path: Path, size: tuple[int, int], *, fps: int, frames: int, title: str, quick: bool
    ) -> None:
        self.fps, self.frames = fps, frames
        self.samples = round(frames * RATE / fps)
        self._frames_written = self._samples_written = 0
        self._container = av.open(path, "w", format="mp4", options={"movflags": "+faststart"})
        self._container.metadata["title"] = title
        self._video = self._container.add_stream("libx264", rate=fps)
        self._video.width, self._video.height, self._video.pix_fmt = *size, "yuv420p"
        self._video.time_base = Fraction(1, fps)
        preset = "ultrafast" if quick else "superfast"
        self._video.options = {"preset": preset, "crf": "30" if quick else "22", "aq-mode": "1"}
        context = self._video.codec_context
        context.gop_size, context.thread_count = fps * 2, _THREADS
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        self._audio = self._container.add_stream("aac", rate=RATE, layout="stereo")
        self._audio.bit_rate = 96_000

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._container.mux(self._video.encode(None))
            self._container.mux(self._audio.encode(None))
        self._container.close()

    def samples_due(self) -> int:
        """How many samples are missing for the frames written so far."""
        return self.samples * self._frames_written // self.frames - self._samples_written

    def add_frame(self, frame: av.VideoFrame) -> None:
        frame.pts, frame.time_base = self._frames_written, Fraction(1, self.fps)
        self._frames_written += 1
        self._container.mux(self._video.encode(frame))

    def add_sound(self, block: NDArray[np.float32]) -> None:
        """``block``: stereo samples, one row per channel."""
        sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="stereo")
        sound.sample_rate, sound.pts, sound.time_base = RATE, self._samples_written, Fraction(1, RATE)
        self._samples_written += block.shape[1]
        self._container.mux(self._audio.encode(sound))

    @property
    def samples_written(self) -> int:
        """How many samples were written."""
        return self._samples_written
