"""Quad, a flat textured surface, and Box, a solid that casts shadow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Quad:
    """A parallelogram `origin + s*u + t*v`, s and t in 0..1, seen from the side of u x v.

    Attributes:
        origin: top left corner of the texture, (3,) [m], map frame.
        u: along the rows of the texture, (3,) [m].
        v: down the columns of the texture, (3,) [m].
        texture: uint8 (H, W, 3) RGB, or (H, W, 4), transparent where alpha is below 128.
        two_sided: whether it is seen from behind too (billboards).
        tile_m: largest side of the parts that are drawn, each at its own scale.
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


@dataclass(frozen=True)
class Box:
    """An axis-aligned solid that casts shadow.

    Attributes:
        low: lowest corner [m], map frame.
        high: highest corner [m], map frame.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]


def upright(
    left: Point,
    right: Point,
    bottom: float,
    top: float,
    texture: NDArray[np.uint8],
    *,
    two_sided: bool = False,
) -> Quad:
    """A vertical quad between two ground points; left and right as seen from its front."""
    origin = np.array([*left, top], np.float64)
    u = np.array([right[0] - left[0], right[1] - left[1], 0.0])
    return Quad(origin, u, np.array([0.0, 0.0, bottom - top]), texture, two_sided)
