"""Town: a block with a road around it, and side streets that the demo's first drive leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from netvlad_ros.world.rendering.quad import Box, Point, Quad
from netvlad_ros.world.rendering.texture import SHARES
from netvlad_ros.world.scenes import prop
from netvlad_ros.world.scenes.building import Footprint, building
from netvlad_ros.world.scenes.ground import Rectangle, ground

HALF_M = 3.5  # from the middle of a street to its fronts
AREA: Rectangle = (-11.0, -29.0, 47.0, 35.0)
STREETS: list[Rectangle] = [  # west, south, east, north; then the side streets
    (-3.5, -3.5, 3.5, 27.5), (-3.5, -3.5, 39.5, 3.5),
    (32.5, -3.5, 39.5, 27.5), (-3.5, 20.5, 39.5, 27.5),
    (6.5, -21.5, 13.5, 3.5), (6.5, -21.5, 29.5, -14.5), (22.5, -21.5, 29.5, 3.5),
]  # fmt: skip
PARKING_SIDE = (1, 1, -1, -1, 1, 1, -1)  # which kerb of each street, along y or x
# rows of houses: first corner, last corner (their fronts' line), the side they stand on, depth [m]
ROWS: list[tuple[Point, Point, Point, float]] = [
    ((3.5, 3.5), (32.5, 3.5), (0, 1), 6.0), ((3.5, 20.5), (32.5, 20.5), (0, -1), 6.0),
    ((3.5, 9.5), (3.5, 14.5), (1, 0), 6.0), ((32.5, 9.5), (32.5, 14.5), (-1, 0), 6.0),
    ((-3.5, -9.5), (-3.5, 33.0), (-1, 0), 6.0), ((-3.5, 27.5), (39.5, 27.5), (0, 1), 6.0),
    ((39.5, -9.5), (39.5, 33.0), (1, 0), 6.0), ((-3.5, -3.5), (6.5, -3.5), (0, -1), 6.0),
    ((29.5, -3.5), (39.5, -3.5), (0, -1), 6.0), ((13.5, -3.5), (22.5, -3.5), (0, -1), 5.5),
    ((13.5, -14.5), (22.5, -14.5), (0, 1), 5.5), ((6.5, -27.5), (6.5, -9.5), (-1, 0), 6.0),
    ((29.5, -27.5), (29.5, -9.5), (1, 0), 6.0), ((6.5, -21.5), (29.5, -21.5), (0, -1), 6.0),
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Town:
    """A town.

    Attributes:
        quads: its surfaces.
        boxes: the solids that cast shadow.
        houses: the plots of the houses.
    """

    quads: list[Quad]
    boxes: list[Box]
    houses: list[Footprint]

    @classmethod
    def build(cls, seed: int, day: int) -> Town:
        """The town of a seed on a day; cars and crates move from day to day."""
        return cls.standing(seed).on_day(np.random.default_rng((seed, day)))

    @classmethod
    def standing(cls, seed: int) -> Town:
        """The fixed parts of the town of a seed: ground, houses, trees, lamps, signs."""
        rng = np.random.default_rng(seed)
        quads, boxes, houses = [ground(rng, AREA, STREETS)], [], []
        for row in ROWS:
            character = rng.dirichlet(6.0 * np.array(SHARES))  # houses of a row are similar
            for plot in _plots(rng, *row):
                height = float(
                    rng.choice([3.4, 5.8, 6.6, 8.4, 9.5], p=[0.12, 0.25, 0.3, 0.23, 0.1])
                )
                walls, solids = building(
                    rng, plot, height + rng.uniform(-0.3, 0.3), character, on_street
                )
                quads += walls
                boxes += solids
                houses.append(plot)
        return cls(quads, boxes, houses)._with(_fixtures(rng))

    def on_day(self, rng: np.random.Generator) -> Town:
        """This town with cars and crates at positions drawn from `rng`."""
        return self._with(_movables(rng))

    def _with(self, placed: list[prop.Prop]) -> Town:
        quads = self.quads + [quad for quads, _ in placed for quad in quads]
        boxes = self.boxes + [box for _, boxes in placed for box in boxes]
        return Town(quads, boxes, self.houses)


def on_street(point: Point) -> bool:
    """Whether a ground point is in a street."""
    return any(a <= point[0] <= c and b <= point[1] <= d for a, b, c, d in STREETS)


def _plots(
    rng: np.random.Generator, first: Point, last: Point, side: Point, depth: float
) -> list[Footprint]:
    """A row divided into plots of 3.5 to 8 m, each a little behind the line of fronts."""
    length = float(np.hypot(last[0] - first[0], last[1] - first[1]))
    count = max(1, round(length / 5.4))
    cuts = np.linspace(0, length, count + 1)
    cuts[1:-1] += rng.uniform(-0.9, 0.9, count - 1)
    along = np.subtract(last, first) / length
    plots = []
    for a, b in pairwise(cuts.tolist()):
        back = float(rng.choice([0.0, 0.15, 0.4, 0.9], p=[0.4, 0.2, 0.25, 0.15]))
        corners = np.array([
            np.add(first, along * a) + np.multiply(side, back),
            np.add(first, along * b) + np.multiply(side, depth),
        ])  # fmt: skip
        low, high = corners.min(0), corners.max(0)
        plots.append((float(low[0]), float(low[1]), float(high[0]), float(high[1])))
    return plots


def _kerbside(
    rng: np.random.Generator, spacing: float, inset: float, *, parking: bool = False
) -> list[tuple[Point, bool]]:
    """Points along both pavements, away from crossings; and whether the street runs along x.

    Args:
        rng: of the points.
        spacing: mean distance between points [m].
        inset: distance from the fronts [m].
        parking: only on the side of a street where cars may park.
    """
    points: list[tuple[Point, bool]] = []
    for number, (a, b, c, d) in enumerate(STREETS):
        along_x = c - a > d - b
        low, high = (a, c) if along_x else (b, d)
        across = ((b + d) if along_x else (a + c)) / 2
        for sign in (PARKING_SIDE[number],) if parking else (-1, 1):
            at = low + 4.0 + rng.uniform(0, spacing)
            while at < high - 4.0:
                offset = across + sign * (HALF_M - inset)
                point = (at, offset) if along_x else (offset, at)
                others = STREETS[:number] + STREETS[number + 1 :]
                if not any(
                    o[0] - 2.5 < point[0] < o[2] + 2.5 and o[1] - 2.5 < point[1] < o[3] + 2.5
                    for o in others
                ):
                    points.append((point, along_x))
                at += spacing * rng.uniform(0.6, 1.4)
    return points


def _fixtures(rng: np.random.Generator) -> list[prop.Prop]:
    """Trees, lamps, signs and crates that do not move."""
    placed: list[prop.Prop] = []
    for point, along_x in _kerbside(rng, 5.5, 1.15):
        kind = rng.uniform()
        if kind < 0.35:
            placed.append(prop.tree(rng, point))
        elif kind < 0.6:
            placed.append(prop.lamp_post(rng, point))
        elif kind < 0.85:
            placed.append(prop.road_sign(rng, point, 0.0 if along_x else np.pi / 2))
    placed += [prop.crate(rng, point) for point, _ in _kerbside(rng, 5.0, 0.45)]
    return placed


def _movables(rng: np.random.Generator) -> list[prop.Prop]:
    """Cars and crates that move from day to day."""
    placed = [
        prop.car(rng, point, along_x) for point, along_x in _kerbside(rng, 13.0, 1.05, parking=True)
    ]
    return placed + [prop.crate(rng, point) for point, _ in _kerbside(rng, 14.0, 0.5)]
