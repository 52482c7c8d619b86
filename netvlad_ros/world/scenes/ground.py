"""ground(): the ground of the town as one image, with pavements, carriageways and manholes."""

from __future__ import annotations

import cv2
import numpy as np

from netvlad_ros.world.rendering.quad import Quad
from netvlad_ros.world.rendering.texture import Rgb, courses, hue, noise, shade

PX_PER_M = 44
Rectangle = tuple[float, float, float, float]  # x0, y0, x1, y1 [m]
CARRIAGEWAY_M = 2.1  # half width


def ground(rng: np.random.Generator, area: Rectangle, streets: list[Rectangle]) -> Quad:
    """One horizontal quad at z = 0 over `area`, seen from above; north is up in its texture."""
    x0, y0, x1, y1 = area
    width, height = int((x1 - x0) * PX_PER_M), int((y1 - y0) * PX_PER_M)
    grey = np.array([150, 147, 140], np.float32)
    image = courses(rng, height, width, (0.6 * PX_PER_M, 0.4 * PX_PER_M), grey, grey * 0.72, 0.06)

    def box(rectangle: Rectangle) -> tuple[slice, slice]:
        a, b, c, d = rectangle
        rows = slice(max(0, int((y1 - d) * PX_PER_M)), int((y1 - b) * PX_PER_M))
        return rows, slice(max(0, int((a - x0) * PX_PER_M)), int((c - x0) * PX_PER_M))

    kerb = 0.14
    ways = [_carriageway(street) for street in streets]
    for a, b, c, d in ways:
        image[box((a - kerb, b - kerb, c + kerb, d + kerb))] = (178, 176, 170)
    for number, way in enumerate(ways):
        part = image[box(way)]
        part[:] = _surface(rng, part.shape[0], part.shape[1], cobbles=number % 3 == 1)
        _wear(rng, part)
    relief = 0.05 * cv2.resize(noise(rng, height // 8, width // 8, 40.0), (width, height))
    image = shade(image.astype(np.float32), relief)
    origin = np.array([x0, y1, 0.0])
    return Quad(origin, np.array([x1 - x0, 0, 0]), np.array([0, y0 - y1, 0]), image, tile_m=3.5)


def _carriageway(street: Rectangle) -> Rectangle:
    a, b, c, d = street
    inset = min(c - a, d - b) / 2 - CARRIAGEWAY_M
    return a + inset, b + inset, c - inset, d - inset


def _surface(rng: np.random.Generator, height: int, width: int, cobbles: bool) -> Rgb:
    if cobbles:
        base = hue(rng, (0.05, 0.2), (0.42, 0.58), around=0.08)
        return courses(rng, height, width, (8, 7), base, base * np.float32(0.6), 0.12)
    base = np.full(3, rng.uniform(75, 115), np.float32)
    return shade(base, 0.07 * rng.standard_normal((height, width)).astype(np.float32))


def _wear(rng: np.random.Generator, part: Rgb) -> None:
    """Patches of other asphalt, cracks, manholes, a worn stripe, a puddle."""
    height, width = part.shape[:2]
    area = height * width / PX_PER_M**2
    for _ in range(int(area / 9)):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        kind = rng.uniform()
        if kind < 0.35:
            w, h = (int(rng.uniform(0.4, 1.8) * PX_PER_M) for _ in range(2))
            patch = part[y : y + h, x : x + w]
            patch[:] = shade(
                patch.astype(np.float32) * rng.uniform(0.65, 1.2),
                np.zeros(patch.shape[:2], np.float32),
            )
        elif kind < 0.6:
            steps = np.add((x, y), rng.normal(0, 0.35 * PX_PER_M, (6, 2)).cumsum(0))
            cv2.polylines(part, [steps.astype(np.int32)], False, (45, 45, 45), 2, cv2.LINE_AA)
        elif kind < 0.75:
            cv2.circle(part, (x, y), int(0.33 * PX_PER_M), (70, 66, 60), -1, cv2.LINE_AA)
            cv2.circle(part, (x, y), int(0.26 * PX_PER_M), (110, 104, 96), 3, cv2.LINE_AA)
        elif kind < 0.85:
            size = (int(rng.uniform(0.3, 0.9) * PX_PER_M), int(rng.uniform(0.2, 0.5) * PX_PER_M))
            cv2.ellipse(
                part, (x, y), size, rng.uniform(0, 180), 0, 360, (120, 132, 142), -1, cv2.LINE_AA
            )
        else:
            half = int(0.06 * PX_PER_M)
            along = (
                (x - half, y, x + half, y + PX_PER_M)
                if height > width
                else (x, y - half, x + PX_PER_M, y + half)
            )
            cv2.rectangle(part, along[:2], along[2:], (215, 212, 200), -1)
