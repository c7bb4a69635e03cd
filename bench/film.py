"""A small real film for the upstream to serve: H.264 with sound, 320x180, four seconds, about 17 kB."""

import sys
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, RATE, SECONDS = 320, 180, 24, 4
SOUND_RATE = 24_000


def make_film(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "36", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono", bit_rate=12_000)
        for index in range(RATE * SECONDS):
            container.mux(video.encode(_picture(index)))
        container.mux(video.encode(None))
        for start in range(0, SOUND_RATE * SECONDS, 1024):
            container.mux(sound.encode(_sound(start)))
        container.mux(sound.encode(None))


def _picture(index: int) -> av.VideoFrame:
    """A bright disc that wanders over a slope."""
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH]
    plane = (right * 120 // WIDTH + down * 60 // HEIGHT + 30).astype(np.uint8)
    disc = (right - 40 - index * 2.4) ** 2 + (down - 90 - 40 * np.sin(index / 12)) ** 2 < 26**2
    plane[disc] = 220
    frame = av.VideoFrame.from_ndarray(np.stack([plane, plane // 2, 255 - plane], axis=-1), format="rgb24")
    frame.pts = index
    return frame


def _sound(start: int) -> av.AudioFrame:
    times = np.arange(start, start + 1024) / SOUND_RATE
    block = (np.sin(times * 440 * 2 * np.pi) * 0.2).astype(np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = SOUND_RATE, start
    return frame


if __name__ == "__main__":
    make_film(Path(sys.argv[1]))
