"""Colour palettes by style, as luma and chroma of limited-range BT.709."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = NDArray[np.float32]
"""Luma from 0 to 219 and two chroma values around zero: frame values without their offsets."""


@dataclass(frozen=True, slots=True)
class ScenePalette:
    """Colours of the sky (top, horizon), the light, and the hills (far, near)."""

    top: Colour
    horizon: Colour
    light: Colour
    far: Colour
    near: Colour


_FAMILIES: dict[str, tuple[str, ...]] = {
    "": (
        "1b1f4b e58a7b ffd9a0 8a5a86 161230",
        "0c2a4a 6fb7c4 f4f1d0 3f7f96 071a2b",
        "2b1a4f c86f9c ffc2b4 7a4a8c 150c2e",
        "12353a b9c99a fff0c2 5c8f7c 0a1f22",
        "0a1030 4a5fb0 cfe0ff 34437f 060919",
        "3a1420 f0885a ffe0a3 9a4a4a 1c0a14",
        "20344f c9b6c8 fff3e2 7e86a8 0f1a2b",
        "06323f 4fc0a8 e9ffd8 2a8088 04181f",
    ),
    "golden": ("6a3b2a f7b35a fff0b8 b86f3c 24120c", "4a3550 f5a257 ffe9ad a8604f 1e1220"),
    "festive": ("4a0d18 e2543f ffd27a a02a35 20060c", "2a0f3d d8434f ffcf6e 8c2450 180720"),
    "kakalaka": ("3a0f6b ff5fa8 fff27a 7a2fd0 12052e", "06304f 22d3c5 ffe14f 3a57d8 0a0a33"),
    "news": ("0b1d3a 5f86b8 e8f1ff 36577f 060f20", "16243a 8aa0b8 f4f8ff 4a6482 0a1220"),
    "selfie": ("5a3a5c f7b9a8 fff1de c07f8c 2c1828", "40486f f2bcc0 fff4e6 a983a0 1f1a30"),
    "handheld": ("20383a a9b89a fff6da 5f7f70 0f1c1b", "2c3440 b8b4a2 fff4dc 6f7a7c 14181c"),
    "anime": ("1f4fa0 9fd8f5 fffbe0 5f9fd0 0e2450", "2a2f86 f5a6c8 fff2d8 8f78d0 141440"),
    "retro": ("1a0b3c ff6a5a ffd166 a02f86 0a0420", "0b2038 f08a4b ffe08a 2f8f8f 071018"),
    "nostalgic": ("4a4038 cdb38a fff0d0 8f7860 1e1812", "3c4244 c4b6a0 fbeed6 80807c 181a1a"),
    "comic": ("241468 f4b81c fff6b0 d8402f 0c0830", "07346b f25c54 fff3a0 2f9fc4 08122e"),
}


def colour_from_hex(code: str) -> Colour:
    """Luma and chroma of an ``rrggbb`` code."""
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (0, 2, 4))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return np.array([219 * luma, 224 * (blue - luma) / 1.8556, 224 * (red - luma) / 1.5748], dtype=np.float32)


def choose_palette(style: str, *, seed: int, index: int) -> ScenePalette:
    """A palette of the style; ``seed`` chooses the first one, ``index`` those that follow."""
    family = _FAMILIES.get(style.lower(), _FAMILIES[""])
    chosen = family[(seed + index * 3) % len(family)] if len(family) > 3 else family[(seed + index) % 2]
    return ScenePalette(*(colour_from_hex(code) for code in chosen.split()))


def mix_colours(one: Colour, other: Colour, share: float) -> Colour:
    """The mix of both; ``other`` has the weight ``share``, 0 to 1."""
    return np.asarray(one + (other - one) * np.float32(share), dtype=np.float32)
