"""A flat, textured piece of the world, and the tiles it is drawn in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Quad:
    """A parallelogram `origin + s*u + t*v`, s and t in 0..1, seen from the side of u x v.

    origin: its texture's top left corner, u: along the texture's rows, v: down its columns; all
    (3,) [m], map frame.
    texture: uint8 (H, W, 3) RGB, or (H, W, 4) where alpha below 128 is not there.
    two_sided: seen from behind too (billboards).
    tile_m: it is drawn in parts no larger than this, each at its own scale.
    """

    origin: Vector
    u: Vector
    v: Vector
    texture: NDArray[np.uint8]
    two_sided: bool = False
    tile_m: float = 3.0

    @property
    def normal(self) -> Vector:
        """Unit normal of the visible side: right-handed with rows running down, (3,)."""
        n = np.cross(self.v, self.u)
        return n / np.linalg.norm(n)

    def tiles(self) -> Iterator[tuple[float, float, float, float]]:
        """Parts (s0, t0, s1, t1) no larger than tile_m, so that each is drawn at its own scale."""
        cols = max(1, ceil(np.linalg.norm(self.u) / self.tile_m))
        rows = max(1, ceil(np.linalg.norm(self.v) / self.tile_m))
        for row in range(rows):
            for col in range(cols):
                yield col / cols, row / rows, (col + 1) / cols, (row + 1) / rows


def upright(
    left: tuple[float, float],
    right: tuple[float, float],
    bottom: float,
    top: float,
    texture: NDArray[np.uint8],
    *,
    two_sided: bool = False,
) -> Quad:
    """A vertical quad between two ground points, named as seen from in front of it."""
    origin = np.array([*left, top], np.float64)
    u = np.array([right[0] - left[0], right[1] - left[1], 0.0])
    return Quad(origin, u, np.array([0.0, 0.0, bottom - top]), texture, two_sided)


@dataclass(frozen=True)
class Box:
    """An axis-aligned solid that casts shadow: low and high corner [m], map frame."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]


Point = tuple[float, float]
