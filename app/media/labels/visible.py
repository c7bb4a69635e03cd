"""The visible label: a text on a dark plate in the corner of a picture, at least 5 % of its short side high.

Runs in a child process.
"""

from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FONT = Path(__file__).parents[2] / "providers" / "studio" / "fonts" / "NotoSansCJK-Regular-subset.ttc"
"""The studio's, which has the Chinese characters."""
CHINESE = 2
"""The place of the font's Chinese forms."""
LEAST_HEIGHT = 0.055
"""Of each character, as a share of the short side; the rule says 0.05."""
MARGIN = 0.025
DARK, LIGHT, GREY = 16.0, 235.0, 128.0
"""Luma of the plate and the text, and chroma without colour."""
PLATE_OPACITY = 0.6


class TextPlate:
    """The label for pictures of one size, which it is drawn over in 4:2:0 without touching the rest."""

    def __init__(self, text: str, *, width: int, height: int) -> None:
        short = min(width, height)
        mask = text_mask(text, least=short * LEAST_HEIGHT, most=width * 0.9)
        pad = max(2, round(short * MARGIN))
        left = top = pad // 2 * 2
        plate = np.zeros(
            (min(mask.shape[0] + 2 * pad, height - top), min(mask.shape[1] + 2 * pad, width - left)),
            dtype=np.float32,
        )
        plate = plate[: plate.shape[0] // 2 * 2, : plate.shape[1] // 2 * 2]
        part = plate[pad : pad + mask.shape[0], pad : pad + mask.shape[1]]
        part[:] = mask[: part.shape[0], : part.shape[1]]
        self._letters: NDArray[np.float32] = plate
        self._place = (slice(top, top + plate.shape[0]), slice(left, left + plate.shape[1]))
        self._half = tuple(slice(each.start // 2, each.stop // 2) for each in self._place)

    @property
    def text_height(self) -> int:
        """Pixels from the text's highest to its lowest line."""
        return int(np.count_nonzero(self._letters.max(axis=1) > 0.5))

    def draw_over(self, frame: VideoFrame) -> VideoFrame:
        """A copy of ``frame`` (yuv420p, even sides) with the label."""
        picture = frame.to_ndarray()
        height, width = frame.height, frame.width
        luma = picture[:height]
        quarter = height // 2 * (width // 2)
        chroma = picture[height:].reshape(-1)
        letters = self._letters
        dimmed = luma[self._place] * (1 - PLATE_OPACITY) + DARK * PLATE_OPACITY
        luma[self._place] = dimmed * (1 - letters) + LIGHT * letters
        covered = PLATE_OPACITY + (1 - PLATE_OPACITY) * letters[::2, ::2]
        for begin in (0, quarter):
            plane = chroma[begin : begin + quarter].reshape(height // 2, width // 2)
            plane[self._half] = plane[self._half] * (1 - covered) + GREY * covered
        return VideoFrame.from_ndarray(picture, format="yuv420p")


def text_mask(text: str, *, least: float, most: float) -> NDArray[np.float32]:
    """The text as opacities from 0 to 1: each character at least ``least`` pixels high, all at most ``most`` wide."""
    size = max(8, round(least))
    while True:
        face = ImageFont.truetype(FONT, size, index=CHINESE)
        boxes = [face.getbbox(sign) for sign in text if not sign.isspace()]
        if min(box[3] - box[1] for box in boxes) >= least:
            break
        size += 1
    while size > 8 and face.getlength(text) > most:
        size -= 1
        face = ImageFont.truetype(FONT, size, index=CHINESE)
    left, top, right, bottom = face.getbbox(text)
    picture = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(picture).text((-left, -top), text, fill=255, font=face)
    opacities: NDArray[np.float32] = np.asarray(picture, dtype=np.float32) / np.float32(255)
    return opacities
