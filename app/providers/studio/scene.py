"""A moving landscape (sky, sun, hills, specks) and the colour palettes by style."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.providers.studio.canvas import Canvas, Plane

Colour = NDArray[np.float32]
"""Luma from 0 to 219 and two chroma values around zero: frame values without their offsets."""
# Per style: palettes of five rrggbb codes, in the order of the fields of ``ScenePalette``.
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
Vector = NDArray[np.float32]
_WHITE = np.array([219, 0, 0], dtype=np.float32)
_RIDGE_POINTS = 4096
_RIDGE_SPAN = 4.0
"""The length of a ridge before it repeats, in short sides of the frame."""


@dataclass(frozen=True, slots=True)
class ScenePalette:
    """Colours of the sky (top, horizon), the light, and the hills (far, near)."""

    top: Colour
    horizon: Colour
    light: Colour
    far: Colour
    near: Colour


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


class Backdrop(Protocol):
    """Fills a canvas for a moment, in seconds from its own start."""

    def paint(self, canvas: Canvas, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class MountainRidge:
    """One chain of hills: its heights (0 to 1), position, height, speed and colours."""

    heights: Vector
    base: float
    rise: float
    speed: float
    upper: Colour
    lower: Colour

    def edge_rows(self, columns: Vector, frame: tuple[int, int], seconds: float) -> Vector:
        """The upper edge of the ridge, as a row for each column."""
        width, height = frame
        short = min(width, height)
        run = (columns / short + self.speed * seconds) / _RIDGE_SPAN * _RIDGE_POINTS
        rise = np.interp(run, np.arange(_RIDGE_POINTS), self.heights, period=_RIDGE_POINTS)
        return np.asarray(self.base * height - self.rise * short * rise, dtype=np.float32)

    def depth_by_row(self, height: int) -> Vector:
        """The depth of each row: 0 at the crest, 1 at the foot."""
        rows = np.arange(height, dtype=np.float32) / height
        return np.clip((rows - self.base + self.rise * 0.5) / (1.12 - self.base), 0, 1)


@dataclass(frozen=True, slots=True)
class SoftGlow:
    """A soft light; the position is in frame widths and heights, the radius in short sides."""

    x: float
    y: float
    radius: float
    strength: float
    sway: float
    phase: float


class LandscapeBackdrop:
    """Sky, sun, hills and specks; the same seed gives the same landscape in any palette."""

    def __init__(self, palette: ScenePalette, *, seed: int, detail: bool = True) -> None:
        generator = np.random.default_rng(seed)
        self.palette = palette
        self.horizon = 0.62 + 0.08 * float(generator.random())
        self.sun = (
            0.56 + 0.3 * float(generator.random()),
            self.horizon - 0.16 - 0.16 * float(generator.random()),
        )
        self.sun_radius = 0.05 + 0.03 * float(generator.random())
        self.glows = [_random_cloud(generator) for _ in range(5)]
        roughness = 1.45 + 0.9 * float(generator.random())
        count = 4 if detail else 2
        self.ridges = [
            self._make_ridge(generator, place=at / (count - 1), roughness=roughness) for at in range(count)
        ]
        self.specks = generator.random((46 if detail else 0, 5))

    def _make_ridge(self, generator: np.random.Generator, *, place: float, roughness: float) -> MountainRidge:
        crest = mix_colours(self.palette.far, self.palette.near, place**0.8)
        return MountainRidge(
            heights=_skyline_heights(generator, roughness + 0.5 * place),
            base=self.horizon + 0.02 + place * (0.92 - self.horizon),
            rise=0.26 - 0.1 * place,
            speed=0.006 + 0.04 * place**1.6,
            upper=crest,
            lower=mix_colours(crest, self.palette.horizon, 0.5 * (1 - place) ** 1.2),
        )

    def paint(self, canvas: Canvas, seconds: float) -> None:
        self._paint_sky(canvas, seconds)
        self._paint_sun(canvas, seconds)
        self._paint_ridges(canvas, seconds)
        self._paint_specks(canvas, seconds)

    def _sun_at(self, seconds: float) -> tuple[float, float]:
        return self.sun[0], self.sun[1] - 0.004 * seconds

    def _lights_at(self, seconds: float) -> list[tuple[SoftGlow, Colour]]:
        x, y = self._sun_at(seconds)
        light, warm = self.palette.light, mix_colours(self.palette.horizon, self.palette.light, 0.5)
        breath = 1 + 0.06 * math.sin(seconds * 0.9)
        lights = [
            (SoftGlow(x, y, 0.55, 0.34 * breath, 0, 0), warm),
            (SoftGlow(x, y, 0.2, 0.42 * breath, 0, 0), light),
        ]
        for glow in self.glows:
            moved = glow.x + glow.sway * math.sin(seconds * 0.25 + glow.phase)
            lifted = glow.y + 0.04 * math.cos(seconds * 0.21 + glow.phase)
            lights.append((SoftGlow(moved, lifted, glow.radius, glow.strength, 0, 0), warm))
        return lights

    def _paint_sky(self, canvas: Canvas, seconds: float) -> None:
        """Every light is a column vector times a row vector, so the whole sky is one matrix product."""
        lights = self._lights_at(seconds)
        short = min(canvas.width, canvas.height)
        for number, plane, span in canvas.numbered_planes():
            rows = np.arange(plane.shape[0], dtype=np.float32) * span
            columns = np.arange(plane.shape[1], dtype=np.float32) * span
            fall = np.clip(rows / canvas.height / (self.horizon + 0.05), 0, 1) ** 1.4
            top, low = float(self.palette.top[number]), float(self.palette.horizon[number])
            down, across = [top + (low - top) * fall], [np.ones_like(columns)]
            middle = (top + low) / 2
            for glow, tint in lights:
                size = glow.radius * short
                down.append(np.exp(-(((rows - glow.y * canvas.height) / size) ** 2)))
                stretch = size * (1.0 if glow.radius < 0.3 else 1.7)
                weight = glow.strength * (float(tint[number]) - middle)
                across.append(weight * np.exp(-(((columns - glow.x * canvas.width) / stretch) ** 2)))
            np.matmul(np.stack(down, axis=1, dtype=np.float32), np.stack(across, dtype=np.float32), out=plane)

    def _paint_sun(self, canvas: Canvas, seconds: float) -> None:
        x, y = self._sun_at(seconds)
        radius = self.sun_radius * min(canvas.width, canvas.height)
        disc = mix_colours(self.palette.light, _WHITE, 0.45)
        for number, plane, span in canvas.numbered_planes():
            middle = (x * canvas.width / span, y * canvas.height / span)
            _paint_disc(plane, middle, radius / span, value=float(disc[number]), soft=0.0)

    def _paint_ridges(self, canvas: Canvas, seconds: float) -> None:
        frame = (canvas.width, canvas.height)
        for number, plane, span in canvas.numbered_planes():
            columns = np.arange(plane.shape[1], dtype=np.float32) * span
            rows = np.arange(plane.shape[0], dtype=np.float32)[:, None]
            for ridge in self.ridges:
                edge = ridge.edge_rows(columns, frame, seconds) / span
                first = max(0, int(edge.min()))
                last = min(plane.shape[0], int(edge.max()) + 2)
                depth = ridge.depth_by_row(plane.shape[0])[:, None]
                shade = ridge.upper[number] + (ridge.lower[number] - ridge.upper[number]) * depth
                cover = np.clip(rows[first:last] - edge + np.float32(0.5), 0, 1)
                plane[first:last] += cover * (shade[first:last] - plane[first:last])
                plane[last:] = shade[last:]

    def _paint_specks(self, canvas: Canvas, seconds: float) -> None:
        short = min(canvas.width, canvas.height)
        luma = canvas.planes[0]
        for x, y, size, phase, pace in self.specks:
            rise = (y - seconds * (0.008 + 0.02 * pace)) % 1.1 - 0.05
            sway = x + 0.015 * math.sin(seconds * (0.4 + pace) + phase * math.tau)
            twinkle = 0.55 + 0.45 * math.sin(seconds * (0.8 + pace) + phase * 9)
            radius = short * (0.0022 + 0.006 * size**6)
            strength = (0.5 if size < 0.7 else 0.22) * twinkle * min(1.0, rise * 3 + 0.2)
            middle = (sway * canvas.width, rise * canvas.height)
            _paint_disc(luma, middle, radius * 2, value=float(self.palette.light[0]), soft=max(0.0, strength))


def _random_cloud(generator: np.random.Generator) -> SoftGlow:
    x, y, radius, strength, phase = (float(value) for value in generator.random(5))
    return SoftGlow(x, 0.05 + 0.5 * y, 0.16 + 0.22 * radius, 0.07 + 0.13 * strength, 0.08, phase * math.tau)


def _skyline_heights(generator: np.random.Generator, roughness: float) -> Vector:
    """Periodic noise from 0 to 1; a higher ``roughness`` exponent gives smoother hills."""
    octaves = np.arange(1, 220)
    spectrum = np.zeros(_RIDGE_POINTS // 2 + 1, np.complex128)
    angles = generator.random(octaves.size) * math.tau
    spectrum[octaves] = np.exp(1j * angles) / np.maximum(octaves, 3.0) ** roughness
    heights = np.fft.irfft(spectrum)
    return np.asarray((heights - heights.min()) / np.ptp(heights), dtype=np.float32)


def _paint_disc(
    plane: Plane, middle: tuple[float, float], radius: float, *, value: float, soft: float
) -> None:
    """A disc with a smooth edge, or a fading dot of the strength ``soft`` if that is above zero."""
    reach = math.ceil(radius) + 1
    left, top = int(middle[0]) - reach, int(middle[1]) - reach
    right, bottom = left + 2 * reach + 1, top + 2 * reach + 1
    left, top = max(0, left), max(0, top)
    right, bottom = min(plane.shape[1], right), min(plane.shape[0], bottom)
    if left >= right or top >= bottom:
        return
    across = (np.arange(left, right, dtype=np.float32) - np.float32(middle[0])) ** 2
    down = (np.arange(top, bottom, dtype=np.float32) - np.float32(middle[1])) ** 2
    distance = across[None, :] + down[:, None]
    if soft:
        cover = np.float32(soft) * np.exp(distance * np.float32(-4.0 / radius**2))
    else:
        cover = np.clip(np.float32(radius + 0.5) - np.sqrt(distance), 0, 1)
    region = plane[top:bottom, left:right]
    region += cover * (np.float32(value) - region)
