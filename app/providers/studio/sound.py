"""A quiet chord for a clip, computed block by block."""

import math

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
_LEVEL = 10 ** (-30 / 20)
_ROOTS = (98.0, 110.0, 123.47, 130.81, 146.83)
_CHORDS = ((0, 7, 12, 16, 23), (0, 7, 12, 15, 22), (0, 7, 14, 16, 19), (0, 5, 12, 17, 21))


class AmbientChord:
    """Five slowly swelling tones, faded in and out over ``seconds``."""

    def __init__(self, seconds: float, *, seed: int, audible: bool) -> None:
        dice = np.random.default_rng(seed)
        root = _ROOTS[seed % len(_ROOTS)]
        self.seconds = seconds
        self.level = _LEVEL * 0.9 if audible else 0.0
        self.tones = [root * 2 ** (step / 12) for step in _CHORDS[seed // 8 % len(_CHORDS)]]
        self.phases = dice.random((len(self.tones), 3)) * math.tau

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
