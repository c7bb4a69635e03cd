"""Pictures and clips as backdrops: cropped to fill the frame, slowly zoomed, played, recoloured."""

import math
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from app.providers.studio.canvas import Canvas, Plane
from app.providers.studio.scene import ScenePalette

_REC_709 = np.array(
    [[0.2126, 0.7152, 0.0722], [-0.1146, -0.3854, 0.5], [0.5, -0.4542, -0.0458]], dtype=np.float32
) * np.array([[219 / 255], [224 / 255], [224 / 255]], dtype=np.float32)
_TRAVEL = 0.11
"""The zoom at the end of the camera move, as a share of the frame."""


class StillBackdrop:
    """A picture that fills the frame, slowly zoomed in, or out when ``zoom_out``."""

    def __init__(
        self, picture: Image.Image, size: tuple[int, int], *, length: float, seed: int, zoom_out: bool = False
    ) -> None:
        self.size, self.length, self.zoom_out = size, max(length, 0.1), zoom_out
        generator = np.random.default_rng(seed)
        self.aim = (0.3 + 0.4 * float(generator.random()), 0.3 + 0.4 * float(generator.random()))
        rich = (math.ceil(size[0] * (1 + _TRAVEL)), math.ceil(size[1] * (1 + _TRAVEL)))
        filled = ImageOps.fit(picture.convert("RGB"), rich, Image.Resampling.LANCZOS)
        pixels = np.asarray(filled, dtype=np.float32)
        self.layers = [Image.fromarray(pixels @ row) for row in _REC_709]

    def paint(self, canvas: Canvas, seconds: float) -> None:
        share = min(1.0, max(0.0, seconds / self.length))
        share = (1 - share) if self.zoom_out else share
        eased = share * share * (3 - 2 * share)
        wide, high = self.layers[0].size
        across, down = wide / (1 + _TRAVEL * eased), high / (1 + _TRAVEL * eased)
        left, top = (wide - across) * self.aim[0], (high - down) * self.aim[1]
        box = (left, top, min(wide, left + across), min(high, top + down))
        for number, plane, _span in canvas.numbered_planes():
            target = (plane.shape[1], plane.shape[0])
            plane[:] = np.asarray(self.layers[number].resize(target, Image.Resampling.BILINEAR, box=box))


class ClipBackdrop:
    """A source video from ``begin`` seconds on; at its end it holds the last frame, or starts again (``loop``)."""

    def __init__(self, path: Path, size: tuple[int, int], *, loop: bool, begin: float = 0.0) -> None:
        self.path, self.size, self.loop, self.begin = path, size, loop, begin
        self._turn = 0.0
        self._frames = _decode_frames(path, begin)
        self._next: tuple[float, av.VideoFrame] | None = next(self._frames, None)
        self._shown = self._next[1] if self._next else None

    def paint(self, canvas: Canvas, seconds: float) -> None:
        self._advance_to(seconds + self.begin)
        if self._shown is None:
            raise ValueError("the source clip has no frames")
        fill_from_frame(canvas, self._shown)

    def _advance_to(self, seconds: float) -> None:
        while self._next is not None and self._next[0] + self._turn <= seconds + 1e-6:
            last, self._shown = self._next
            self._next = next(self._frames, None)
            if self._next is None and self.loop:
                self._turn += last + 1 / 24
                self._frames = _decode_frames(self.path, 0.0)
                self._next = next(self._frames, None)


class GradedBackdrop:
    """Another backdrop, recoloured with a palette and with a little more contrast."""

    def __init__(self, inner: ClipBackdrop | StillBackdrop, palette: ScenePalette) -> None:
        self.inner, self.palette = inner, palette

    def paint(self, canvas: Canvas, seconds: float) -> None:
        self.inner.paint(canvas, seconds)
        luma = canvas.planes[0]
        bright = luma[::2, ::2] * np.float32(1 / 219)
        for number in (1, 2):
            shade, light = self.palette.far[number], self.palette.light[number]
            plane = canvas.planes[number]
            plane *= np.float32(0.45)
            plane += np.float32(0.75) * (shade + (light - shade) * bright)
        luma *= np.float32(0.94)
        luma += np.float32(5) * np.sin(luma * np.float32(2 * math.pi / 219) + np.float32(math.pi))


def open_picture(path: Path) -> Image.Image:
    """A picture, rotated by its EXIF orientation. Raises ``OSError`` when it can't be read."""
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def clip_length(path: Path) -> float:
    """Length of a clip in seconds; 0 when the file doesn't contain it."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return float(container.duration or 0) / av.time_base


def last_picture(path: Path) -> Image.Image:
    """The last frame of a clip. Raises ``ValueError`` when there is none."""
    last: av.VideoFrame | None = None
    for _time, frame in _decode_frames(path, max(0.0, clip_length(path) - 3)):
        last = frame
    if last is None:
        raise ValueError("the source clip has no frames")
    picture = Image.fromarray(last.to_ndarray(format="rgb24"))
    return picture.rotate(last.rotation, expand=True) if last.rotation else picture


def fill_from_frame(canvas: Canvas, frame: av.VideoFrame) -> None:
    """Crop and scale a decoded frame to fill the canvas."""
    turned = frame.rotation % 180 != 0
    want = (canvas.height, canvas.width) if turned else (canvas.width, canvas.height)
    scale = max(want[0] / frame.width, want[1] / frame.height)
    wide = max(want[0], math.ceil(frame.width * scale / 2) * 2)
    high = max(want[1], math.ceil(frame.height * scale / 2) * 2)
    scaled = frame.reformat(width=wide, height=high, format="yuv420p", dst_colorspace=1, dst_color_range=1)
    for number, plane, span in canvas.numbered_planes():
        source = scaled.planes[number]
        pixels: NDArray[np.uint8] = np.frombuffer(memoryview(source), np.uint8).reshape(-1, source.line_size)
        columns, rows = want[0] // span, want[1] // span
        left, top = (wide // span - columns) // 2, (high // span - rows) // 2
        part = pixels[top : top + rows, left : left + columns]
        part = np.rot90(part, round(frame.rotation / 90)) if frame.rotation else part
        _copy_shifted(plane, part, -16 if number == 0 else -128)


def _copy_shifted(plane: Plane, pixels: NDArray[np.uint8], offset: int) -> None:
    np.add(pixels, np.float32(offset), out=plane)


def _decode_frames(path: Path, begin: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames with their times, from ``begin`` seconds on; the file is closed when they end."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        first = float((stream.start_time or 0) * (stream.time_base or 0))
        if begin > 0:
            container.seek(int((begin + first) * av.time_base))
        for frame in container.decode(stream):
            time = max(0.0, (frame.time or 0.0) - first)
            if time >= begin - 1e-3:
                yield time, frame
