"""Building materials as generated images: brick, plaster, stone, boards, panels, tiles."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Material = Callable[[np.random.Generator, int, int], Rgb]

PX_PER_M = 72  # resolution of upright surfaces [px/m]


def hue(
    rng: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    around: float | None = None,
    spread: float = 0.06,
) -> NDArray[np.float32]:
    """A random colour, float32 (3,) RGB 0..255; its hue is near `around` (0..1) if given."""
    h = rng.uniform() if around is None else (around + rng.normal() * spread) % 1.0
    hsv = np.array([[[h * 360.0, rng.uniform(*saturation), rng.uniform(*value)]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * np.float32(255.0)


def noise(
    rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 3
) -> NDArray[np.float32]:
    """Smooth noise (height, width), deviation about 1; `cell` is the coarsest wavelength [px]."""
    out = np.zeros((height, width), np.float32)
    weight = 1.0
    for _ in range(octaves):
        rows, cols = max(2, int(height / cell) + 2), max(2, int(width / cell) + 2)
        coarse = rng.standard_normal((rows, cols)).astype(np.float32)
        out += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        cell, weight = max(1.0, cell / 3.0), weight * 0.6
    return out


def shade(base: NDArray[np.float32], relief: NDArray[np.float32]) -> Rgb:
    """Colour (3,) or (H,W,3) scaled by 1 + relief (H,W)."""
    return np.clip(base * (1.0 + relief[..., None]), 0, 255).astype(np.uint8)


def weathering(rng: np.random.Generator, image: Rgb, strength: float = 0.07) -> Rgb:
    """Stains that run down, dirt near the ground, fine grain."""
    height, width = image.shape[:2]
    streaks = cv2.resize(
        noise(rng, max(2, height // 24), width, 14.0),
        (width, height),
        interpolation=cv2.INTER_LINEAR,
    )
    dirt = np.clip(np.linspace(-1.6, 1.0, height, dtype=np.float32), 0, 1)[:, None]
    relief = strength * (0.6 * streaks + 0.7 * noise(rng, height, width, 90.0)) - 0.22 * dirt
    relief += 0.03 * rng.standard_normal((height, width)).astype(np.float32)
    return shade(image.astype(np.float32), relief)


def courses(
    rng: np.random.Generator,
    height: int,
    width: int,
    size: tuple[float, float],
    base: NDArray[np.float32],
    mortar: NDArray[np.float32],
    spread: float,
) -> Rgb:
    """Bricks or blocks of size (w, h) [px] in running bond, each with its own tone."""
    w, h = size
    row = (np.arange(height) / h).astype(np.int64)
    joint = max(1.0, 0.09 * h)
    lines = np.empty((row[-1] + 1, width, 3), np.uint8)  # one pixel row of every course
    for parity in (0, 1):
        shifted = np.arange(width) + parity * w / 2
        col = (shifted / w).astype(np.int64)
        count = (row[-1] + 2 - parity) // 2
        tones = 1.0 + spread * rng.standard_normal((count, col[-1] + 1)).astype(np.float32)
        course = np.clip(base * tones[:, col, None], 0, 255)
        course[:, np.mod(shifted, w) < joint] = mortar
        lines[parity::2] = course
    out = lines[row]
    out[np.mod(np.arange(height), h) < joint] = mortar.astype(np.uint8)
    return out


def brick(rng: np.random.Generator, height: int, width: int) -> Rgb:
    """Red, brown or yellow brick."""
    base = hue(rng, (0.25, 0.65), (0.4, 0.8), around=rng.choice([0.02, 0.06, 0.11]), spread=0.015)
    mortar = np.full(3, rng.uniform(120, 200), np.float32)
    scale = rng.uniform(0.9, 1.5)
    return courses(rng, height, width, (19 * scale, 7 * scale), base, mortar, 0.14)


def stone(rng: np.random.Generator, height: int, width: int) -> Rgb:
    """Cut stone in large blocks."""
    base = hue(rng, (0.03, 0.25), (0.5, 0.85), around=0.1)
    size = (rng.uniform(34, 70), rng.uniform(18, 34))
    return courses(rng, height, width, size, base, base * np.float32(0.6), 0.1)


def plaster(rng: np.random.Generator, height: int, width: int) -> Rgb:
    """Painted plaster, any colour, patchy."""
    base = hue(rng, (0.05, 0.32), (0.68, 0.96), around=rng.choice([0.1, 0.13, 0.02, 0.3, 0.58]))
    return shade(base, 0.05 * noise(rng, height, width, 60.0))


def boards(rng: np.random.Generator, height: int, width: int) -> Rgb:
    """Wooden boards, upright or lying."""
    upright = rng.uniform() < 0.5
    across, along = (width, height) if upright else (height, width)
    pitch = int(rng.integers(9, 17))
    base = hue(rng, (0.25, 0.7), (0.3, 0.75), around=rng.choice([0.07, 0.1, 0.35, 0.58, 0.0]))
    tone = 0.12 * rng.standard_normal(across // pitch + 1).astype(np.float32)
    index = np.arange(across)
    profile = tone[index // pitch] - 0.45 * (index % pitch < 1.5)
    relief = profile[:, None] + 0.06 * noise(rng, along, across, 7.0, 2).T
    return shade(base, relief.T if upright else relief)


def panels(rng: np.random.Generator, height: int, width: int) -> Rgb:
    """Concrete or metal panels with dark joints."""
    base = hue(rng, (0.0, 0.3), (0.45, 0.85))
    return courses(
        rng, height, width, (rng.uniform(80, 170), rng.uniform(60, 120)), base, base * 0.4, 0.05
    )


def glazed(rng: np.random.Generator, height: int, width: int) -> Rgb:
    """Small glazed tiles in a two-coloured pattern."""
    two = hue(rng, (0.03, 0.25), (0.7, 0.95))
    one = 0.65 * two + 0.35 * hue(rng, (0.3, 0.7), (0.3, 0.7))
    pitch, period = int(rng.integers(7, 12)), int(rng.integers(3, 7))
    y, x = np.mgrid[0:height, 0:width] // pitch
    pick = ((x + y) % period == 0) | ((x - y) % period == 0)
    out = np.where(pick[..., None], one, two)
    tones = rng.standard_normal((y.max() + 1, x.max() + 1)).astype(np.float32)
    return shade(out, 0.07 * tones[y, x])


def timber(rng: np.random.Generator, height: int, width: int) -> Rgb:
    """Half-timbered wall: light fields between dark beams."""
    out = shade(
        hue(rng, (0.05, 0.3), (0.8, 0.98), around=0.12), 0.03 * noise(rng, height, width, 50.0)
    )
    beam = (hue(rng, (0.3, 0.6), (0.2, 0.4), around=0.06)).tolist()
    step, thick = int(rng.integers(64, 110)), int(rng.integers(7, 12))
    for x in range(0, width + step, step):
        cv2.line(out, (x, 0), (x, height), beam, thick)
        for y in range(0, height + 90, 90):
            cv2.line(out, (0, y), (width, y), beam, thick)
            if rng.uniform() < 0.5:
                ends = (y, y + 90) if rng.uniform() < 0.5 else (y + 90, y)
                cv2.line(out, (x, ends[0]), (x + step, ends[1]), beam, thick, cv2.LINE_AA)
    return out


def roof_tiles(rng: np.random.Generator, height: int, width: int) -> Rgb:
    """Rows of roof tiles."""
    base = hue(rng, (0.15, 0.7), (0.3, 0.65), around=rng.choice([0.02, 0.04, 0.6]), spread=0.02)
    return courses(rng, height, width, (14, 16), base, base * np.float32(0.55), 0.12)


MATERIALS: dict[str, Material] = {
    'brick': brick, 'stone': stone, 'plaster': plaster, 'boards': boards,
    'panels': panels, 'glazed': glazed, 'timber': timber,
}  # fmt: skip
SHARES = (0.26, 0.14, 0.28, 0.12, 0.08, 0.04, 0.08)  # how often each covers a street front
