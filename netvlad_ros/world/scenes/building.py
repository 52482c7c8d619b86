"""building(): a house on its plot, with street fronts, plain backs, roof, sign and balconies."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.world.rendering.quad import Box, Point, Quad, upright
from netvlad_ros.world.rendering.texture import PX_PER_M, Rgb, hue, roof_tiles
from netvlad_ros.world.scenes.facade import FONTS, SHOPS, facade, plain_wall

Footprint = tuple[float, float, float, float]  # x0, y0, x1, y1 [m]


def building(
    rng: np.random.Generator,
    plot: Footprint,
    height: float,
    shares: NDArray[np.float64],
    on_street: Callable[[Point], bool],
) -> tuple[list[Quad], list[Box]]:
    """Quads and shadow casters of a house; a side whose surroundings are street gets a front.

    plot: x0, y0, x1, y1 [m]; height [m]; shares: (7,) how often each material clads a front.
    """
    x0, y0, x1, y1 = plot
    quads: list[Quad] = []
    boxes = [Box((x0, y0, 0.0), (x1, y1, height))]
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    for i, left in enumerate(
        corners
    ):  # counter-clockwise: the outside is to the right of left -> right
        right = corners[(i + 1) % 4]
        along = np.subtract(right, left)
        length = float(np.linalg.norm(along))
        out = np.array([along[1], -along[0]]) / length
        middle = np.add(left, right) / 2 + 1.5 * out
        if on_street((float(middle[0]), float(middle[1]))):
            quads.append(upright(left, right, 0.0, height, facade(rng, length, height, shares)))
            extra, more = _jutting(rng, np.array(left), along / length, out, length, height)
            quads += extra
            boxes += more
        else:
            quads.append(
                upright(left, right, 0.0, height, plain_wall(rng, length, height)[::2, ::2])
            )
    quads += _roof(rng, plot, height)
    return quads, boxes


def _roof(rng: np.random.Generator, plot: Footprint, height: float) -> list[Quad]:
    x0, y0, x1, y1 = plot
    if rng.uniform() < 0.3:  # flat: invisible from the street
        return []
    rise = rng.uniform(0.5, 0.9) * min(x1 - x0, y1 - y0) / 2
    eaves, ridge = height, height + rise
    wide = x1 - x0 >= y1 - y0
    span, depth = (x1 - x0, (y1 - y0) / 2) if wide else (y1 - y0, (x1 - x0) / 2)
    slope = float(np.hypot(depth, rise))
    texture = roof_tiles(rng, int(slope * PX_PER_M / 2), int(span * PX_PER_M / 2))
    gable = _triangle(rng, 2 * depth, rise)
    if wide:
        south = (
            np.array([x0, y0 + depth, ridge]),
            np.array([span, 0, 0]),
            np.array([0, -depth, -rise]),
        )
        north = (
            np.array([x1, y0 + depth, ridge]),
            np.array([-span, 0, 0]),
            np.array([0, depth, -rise]),
        )
        ends = [((x0, y1), (x0, y0)), ((x1, y0), (x1, y1))]
    else:
        south = (
            np.array([x0 + depth, y1, ridge]),
            np.array([0, -span, 0]),
            np.array([-depth, 0, -rise]),
        )
        north = (
            np.array([x0 + depth, y0, ridge]),
            np.array([0, span, 0]),
            np.array([depth, 0, -rise]),
        )
        ends = [((x0, y0), (x1, y0)), ((x1, y1), (x0, y1))]
    quads = [Quad(*side, texture, two_sided=True) for side in (south, north)]
    return quads + [upright(a, b, eaves, ridge, gable) for a, b in ends]


def _triangle(rng: np.random.Generator, width: float, height: float) -> Rgb:
    wall = plain_wall(rng, width, height)
    h, w = wall.shape[:2]
    alpha = np.zeros((h, w), np.uint8)
    cv2.fillConvexPoly(alpha, np.array([[0, h], [w // 2, 0], [w, h]], np.int32), 255)
    return np.dstack([wall, alpha])


def _jutting(
    rng: np.random.Generator,
    left: np.ndarray,
    along: np.ndarray,
    out: np.ndarray,
    length: float,
    height: float,
) -> tuple[list[Quad], list[Box]]:
    """A hanging sign, an awning, balconies."""
    quads: list[Quad] = []
    boxes: list[Box] = []
    if rng.uniform() < 0.35:
        start = left + along * rng.uniform(0.2, 0.8) * length
        a, b = start + out * 0.15, start + out * rng.uniform(0.6, 0.95)
        low = rng.uniform(2.5, 3.0)
        quads.append(
            upright(_xy(a), _xy(b), low, low + rng.uniform(0.45, 0.8), _sign(rng), two_sided=True)
        )
    if rng.uniform() < 0.3 and length > 3:
        width = rng.uniform(1.8, length - 0.8)
        a = left + along * (length - width) / 2
        top, drop, reach = rng.uniform(2.5, 2.8), rng.uniform(0.25, 0.5), rng.uniform(0.6, 1.1)
        origin, u = np.array([*a, top]), np.array([*(along * width), 0.0])
        quads.append(
            Quad(
                origin,
                u,
                np.array([*(out * reach), -drop]),
                _stripes(rng, width, 1.0),
                two_sided=True,
            )
        )
        front = a + out * reach
        quads.append(upright(_xy(front), _xy(front + along * width), top - drop - 0.22, top - drop,
                             _stripes(rng, width, 0.22), two_sided=True))  # fmt: skip
    if rng.uniform() < 0.3 and height > 5.5 and length > 3:
        a = left + along * rng.uniform(0.2, length - 2.3)
        colour = hue(rng, (0, 0.5), (0.3, 0.9)).astype(np.uint8)
        rail = np.zeros((54, 110, 4), np.uint8)
        rail[..., :3] = colour
        rail[:6, :, 3] = rail[-9:, :, 3] = 255
        rail[:, :: int(rng.integers(7, 14)), 3] = rail[:, 1 :: int(rng.integers(7, 14)), 3] = 255
        low, high = 3.3, 4.1
        near = (a + along * 1.9, a + along * 1.9 + out * 0.8, a + out * 0.8)
        quads.append(upright(_xy(near[2]), _xy(near[1]), low, high, rail, two_sided=True))
        quads.append(upright(_xy(a), _xy(near[2]), low, high, rail[:, :46], two_sided=True))
        quads.append(upright(_xy(near[0]), _xy(near[1]), low, high, rail[:, :46], two_sided=True))
        slab = np.full((40, 80, 3), colour // 2 + 40, np.uint8)
        under = Quad(
            np.array([*a, low]),
            np.array([*(along * 1.9), 0]),
            np.array([*(out * 0.8), 0]),
            slab,
            two_sided=True,
        )
        quads.append(under)
        corners = np.array([a, near[1]])
        boxes.append(Box((*corners.min(0), low), (*corners.max(0), low + 0.1)))
    return quads, boxes


def _xy(point: np.ndarray) -> Point:
    return float(point[0]), float(point[1])


def _sign(rng: np.random.Generator) -> Rgb:
    image = np.empty((44, 60, 3), np.uint8)
    image[:] = hue(rng, (0.4, 1.0), (0.3, 1.0))
    ink = hue(rng, (0.0, 0.4), (0.8, 1.0)).tolist()
    cv2.rectangle(image, (2, 2), (57, 41), ink, 2)
    word = str(rng.choice(SHOPS))[:5]
    cv2.putText(image, word, (5, 28), int(rng.choice(FONTS[:3])), 0.5, ink, 1, cv2.LINE_AA)
    return image


def _stripes(rng: np.random.Generator, width: float, height: float) -> Rgb:
    w, h = int(width * 40), max(4, int(height * 40))
    one, two = hue(rng, (0.5, 1.0), (0.4, 0.9)), hue(rng, (0.0, 0.2), (0.85, 1.0))
    columns = (np.arange(w) // int(rng.integers(6, 16))) % 2
    return np.broadcast_to(np.where(columns[:, None], one, two).astype(np.uint8), (h, w, 3)).copy()
