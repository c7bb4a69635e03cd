"""Small real clips and pictures, made on the spot."""

from io import BytesIO
from pathlib import Path

import av
import numpy as np
from PIL import Image


def make_clip(
    path: Path,
    *,
    seconds: float = 2.0,
    size: tuple[int, int] = (320, 180),
    fps: int = 24,
    codec: str = "libx264",
    audio_seconds: float = 0.0,
    movflags: str = "",
    gop: int = 250,
) -> Path:
    width, height = size
    noise = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as out:
        video = out.add_stream(codec, rate=fps)
        video.width, video.height, video.pix_fmt, video.gop_size = width, height, "yuv420p", gop
        if codec == "libvpx":
            video.options = {"deadline": "realtime", "cpu-used": "8"}  # its default takes ten times as long
        sound = out.add_stream("aac", rate=48000) if audio_seconds else None
        for index in range(max(1, round(seconds * fps))):
            picture = np.roll(noise, index * 4, axis=1)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode())
        if sound is not None:
            add_silence(out, sound, seconds=audio_seconds)
    return path


def add_silence(out: av.container.OutputContainer, sound: av.AudioStream, *, seconds: float) -> None:
    silence = np.zeros((1, 1024), dtype=np.float32)
    for at in range(0, int(seconds * 48000), 1024):
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, at
        out.mux(sound.encode(frame))
    out.mux(sound.encode())


def make_picture(form: str, size: tuple[int, int] = (64, 48), *, mode: str = "RGB") -> bytes:
    width, height = size
    noise = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).convert(mode).save(buffer, form)
    return buffer.getvalue()


def make_flat_picture(side: int) -> bytes:
    """A small file that unpacks to ``side`` times ``side`` pixels."""
    buffer = BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()
