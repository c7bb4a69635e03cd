"""The frame being painted: three float planes, so that slow gradients don't band."""

from collections.abc import Iterator

import av
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

_OFFSETS = (16.0, 128.0, 128.0)


class Canvas:
    """A luma plane of full size and two chroma planes of half size; black is zero in all three."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        halves = (height // 2, width // 2)
        self.planes: tuple[Plane, Plane, Plane] = (
            np.zeros((height, width), np.float32),
            np.zeros(halves, np.float32),
            np.zeros(halves, np.float32),
        )
        self._grain = _dither_noise(height, width)

    def numbered_planes(self) -> Iterator[tuple[int, Plane, int]]:
        """Each plane with its number (0: luma) and how many luma pixels one of its pixels spans (1 or 2)."""
        for number, plane in enumerate(self.planes):
            yield number, plane, 1 if number == 0 else 2

    def blend(self, other: "Canvas", share: float) -> None:
        """Mix ``other`` in with weight ``share`` (0 to 1). Overwrites the planes of ``other``."""
        for mine, theirs in zip(self.planes, other.planes, strict=True):
            theirs -= mine
            theirs *= np.float32(share)
            mine += theirs

    def paint_white(self, alpha: Plane, *, left: int, top: int) -> None:
        """Paint white through ``alpha`` (0 to 1); ``left`` and ``top`` must be even."""
        rows, columns = alpha.shape
        region = self.planes[0][top : top + rows, left : left + columns]
        region += alpha * (np.float32(219) - region)
        half = alpha[: rows // 2 * 2 : 2, : columns // 2 * 2 : 2]
        for plane in self.planes[1:]:
            part = plane[top // 2 : top // 2 + half.shape[0], left // 2 : left // 2 + half.shape[1]]
            part *= 1 - half

    def to_frame(self) -> av.VideoFrame:
        """A yuv420p frame, dithered with fixed noise."""
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        frame.colorspace, frame.color_range = 1, 1
        luma = self.planes[0]
        np.clip(luma, 0, 219, out=luma)
        luma += self._grain
        for number, plane, _span in self.numbered_planes():
            target = frame.planes[number]
            pixels = np.frombuffer(memoryview(target), np.uint8).reshape(-1, target.line_size)
            if number:
                plane += self._grain[: plane.shape[0], : plane.shape[1]]
                plane += np.float32(_OFFSETS[number] - _OFFSETS[0])
                np.clip(plane, 16, 240, out=plane)
            pixels[: plane.shape[0], : plane.shape[1]] = plane
        return frame


def _dither_noise(height: int, width: int) -> Plane:
    """Triangular noise of one step plus the luma offset, so that rounding shows no bands."""
    generator = np.random.default_rng(24)
    noise = generator.random((height, width), np.float32) + generator.random((height, width), np.float32)
    return np.asarray(noise + np.float32(_OFFSETS[0] - 0.5), dtype=np.float32)
