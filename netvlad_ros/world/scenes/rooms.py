"""build_floor(): a corridor with rooms on both sides, doors, windows, pictures and furniture."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.world.rendering.photo_shelf import Shelf, hang
from netvlad_ros.world.rendering.quad import Box, Point, Quad, upright
from netvlad_ros.world.rendering.texture import MATERIALS, Rgb, courses, hue, noise, shade
from netvlad_ros.world.scenes import prop

CEILING_M = 2.7
_PX_PER_M = 90
_DOOR_M = (1.1, 2.1)  # width, height
_HALF_WALL_M = 0.02
_CLEARANCE_M = 0.75  # between the walked path and the middle of an object
Opening = tuple[float, float, float, float]  # from, to along the wall, from, to above the floor


@dataclass(frozen=True)
class Zone:
    """A corridor or room, and what is in it."""

    low: Point
    high: Point
    door: Point | None  # the middle of its door, in the corridor's wall
    quads: list[Quad] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)

    @property
    def centre(self) -> Point:
        """Its middle [m]."""
        return (self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2


def build_floor(seed: int, shelf: Shelf) -> list[Zone]:
    """Build the floor of a seed: the corridor, along x from the origin, then its rooms."""
    rng = np.random.default_rng((seed, 9200))
    length, half = float(rng.uniform(14.0, 22.0)), float(rng.uniform(0.95, 1.5))
    corridor = Zone((0.0, -half), (length, half), None)
    rooms = []
    for side in (-1, 1):
        count = max(2, round(length / rng.uniform(4.5, 6.5)))
        cuts = np.linspace(0, length, count + 1)
        cuts[1:-1] += rng.uniform(-0.5, 0.5, count - 1)
        for a, b in pairwise(cuts.tolist()):
            depth = float(rng.uniform(3.6, 5.5))
            door = float(rng.uniform(a + 0.8, b - 0.8))
            ys = sorted((side * half, side * (half + depth)))
            rooms.append(Zone((a, ys[0]), (b, ys[1]), (door, side * half)))
    for zone in (corridor, *rooms):
        _walls(rng, zone, rooms, shelf)
        _floor_and_ceiling(rng, zone)
        if zone.door:
            _furniture(rng, zone, shelf)
    return [corridor, *rooms]


def clutter(rng: np.random.Generator, zone: Zone, path: NDArray[np.float64]) -> list[prop.Prop]:
    """Bins, boxes and plants along the walls, at other positions on every visit.

    Args:
        rng: of the visit.
        zone: where they stand.
        path: (N, 2) [m], which stays free.
    """
    placed = []
    for _ in range(int(rng.integers(1, 4)) if zone.door else int(rng.integers(2, 5))):
        x = float(rng.uniform(zone.low[0] + 0.5, zone.high[0] - 0.5))
        y = float(zone.low[1] + 0.2 if rng.uniform() < 0.5 else zone.high[1] - 0.2)
        if np.hypot(*(path - (x, y)).T).min() > _CLEARANCE_M:
            placed.append(prop.crate(rng, (x, y)))
    return placed


def _walls(rng: np.random.Generator, zone: Zone, rooms: list[Zone], shelf: Shelf) -> None:
    (x0, y0), (x1, y1) = zone.low, zone.high
    # Each side as seen from within: left to right.
    sides = [((x0, y1), (x1, y1)), ((x1, y1), (x1, y0)), ((x1, y0), (x0, y0)), ((x0, y0), (x0, y1))]
    paint = hue(rng, (0.02, 0.16), (0.75, 0.97))
    material = str(rng.choice(['', '', '', 'brick', 'boards', 'panels', 'plaster']))
    doors = [zone] if zone.door else rooms
    for left, right in sides:
        length = float(np.hypot(right[0] - left[0], right[1] - left[1]))
        openings: list[Opening] = []
        for room in doors:
            assert room.door is not None
            if left[1] == right[1] == room.door[1]:
                at = abs(room.door[0] - left[0])
                openings.append((at - _DOOR_M[0] / 2, at + _DOOR_M[0] / 2, 0.0, _DOOR_M[1]))
        outside = zone.door is None or abs(left[1]) + abs(right[1]) > 2 * abs(zone.door[1]) + 0.1
        if not openings and outside and left[1] == right[1] and rng.uniform() < 0.8:
            openings += _windows(rng, length)
        wall = _wall(rng, length, paint, material)
        kind = rng.uniform()
        if kind < 0.6:
            wall[:] = shelf.crop(rng, *wall.shape[:2])
        else:
            for _ in range(int(rng.integers(1, 3 + int(length / 1.8)))):
                hang(rng, wall, shelf, _PX_PER_M, 1.5)
        _trim(rng, wall, openings)
        _pierced(zone, left, right, wall, openings)


def _windows(rng: np.random.Generator, length: float) -> list[Opening]:
    count = int(rng.integers(1, 3)) if length > 3.5 else 1
    width = float(rng.uniform(0.8, min(1.8, 0.7 * length / count)))
    centres = (np.arange(count) + 0.5) * length / count
    return [(c - width / 2, c + width / 2, 0.9, 2.2) for c in centres.tolist()]


def _wall(rng: np.random.Generator, length: float, paint: np.ndarray, material: str) -> Rgb:
    height, width = round(CEILING_M * _PX_PER_M), max(8, round(length * _PX_PER_M))
    if material and rng.uniform() < 0.6:
        return np.ascontiguousarray(MATERIALS[material](rng, height, width))
    wall = shade(
        paint * np.float32(rng.uniform(0.92, 1.0)), 0.03 * noise(rng, height, width, 120.0)
    )
    if rng.uniform() < 0.35:  # a band of another colour
        wall[-round(1.1 * _PX_PER_M) :] = hue(rng, (0.1, 0.6), (0.35, 0.8)).astype(np.uint8)
    if rng.uniform() < 0.4 and length > 2.5:  # a cupboard's or a locked door
        x = int(rng.integers(20, width - round(1.0 * _PX_PER_M)))
        colour = hue(rng, (0.1, 0.7), (0.3, 0.8))
        top = height - round(2.05 * _PX_PER_M)
        wall[top:, x : x + round(0.9 * _PX_PER_M)] = colour.astype(np.uint8)
        cv2.circle(wall, (x + 8, top + 95), 4, (60, 60, 60), -1, cv2.LINE_AA)
    return wall


def _trim(rng: np.random.Generator, wall: Rgb, openings: list[Opening]) -> None:
    """Skirting board and frames."""
    wall[-8:] = hue(rng, (0.0, 0.4), (0.2, 0.9)).astype(np.uint8)
    frame = hue(rng, (0.0, 0.5), (0.25, 0.95)).tolist()
    height = wall.shape[0]
    for a, b, low, high in openings:
        corners = [(round(s * _PX_PER_M), height - round(z * _PX_PER_M)) for s, z in
                   ((a, high), (b, low))]  # fmt: skip
        (left, top), (right, bottom) = corners
        cv2.rectangle(wall, (left - 9, top - 9), (right + 9, bottom + 9), frame, -1)


def _pierced(zone: Zone, left: Point, right: Point, wall: Rgb, openings: list[Opening]) -> None:
    """Add the wall to the zone in pieces that leave the openings free."""
    length = float(np.hypot(right[0] - left[0], right[1] - left[1]))
    along = np.subtract(right, left) / length
    free = sorted(openings)
    edges = [0.0, *(s for a, b, _, _ in free for s in (a, b)), length]
    pieces = [(a, b, 0.0, CEILING_M) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    for a, b, low, high in free:
        pieces += [(a, b, 0.0, low), (a, b, high, CEILING_M)]
    height = wall.shape[0]
    for a, b, low, high in pieces:
        if b - a < 0.02 or high - low < 0.02:
            continue
        part = wall[height - round(high * _PX_PER_M) : height - round(low * _PX_PER_M)]
        part = part[:, round(a * _PX_PER_M) : max(round(b * _PX_PER_M), round(a * _PX_PER_M) + 1)]
        p, q = np.array(left) + a * along, np.array(left) + b * along
        zone.quads.append(
            upright((float(p[0]), float(p[1])), (float(q[0]), float(q[1])), low, high, part)
        )
        ends = np.array([p, q])
        lower, upper = ends.min(0) - _HALF_WALL_M, ends.max(0) + _HALF_WALL_M
        zone.boxes.append(
            Box((float(lower[0]), float(lower[1]), low), (float(upper[0]), float(upper[1]), high))
        )


def _floor_and_ceiling(rng: np.random.Generator, zone: Zone) -> None:
    (x0, y0), (x1, y1) = zone.low, zone.high
    height, width = round((y1 - y0) * 60), round((x1 - x0) * 60)
    base = hue(rng, (0.02, 0.3), (0.3, 0.75))
    kind = rng.uniform()
    if kind < 0.4:
        size = (rng.uniform(15, 40),) * 2
        floor = courses(rng, height, width, size, base, base * np.float32(0.75), 0.05)
    elif kind < 0.7:
        floor = MATERIALS['boards'](rng, height, width)
    else:  # carpet
        floor = shade(base, 0.12 * rng.standard_normal((height, width)).astype(np.float32))
    u, v = np.array([x1 - x0, 0, 0]), np.array([0, y0 - y1, 0.0])
    zone.quads.append(Quad(np.array([x0, y1, 0.0]), u, v, floor, tile_m=2.5))
    white = np.full(3, rng.uniform(200, 240), np.float32)
    step = rng.uniform(30, 60)
    ceiling = courses(rng, height, width, (step, step), white, white * np.float32(0.86), 0.015)
    for x in range(60, width - 50, 150):  # lamps
        cv2.rectangle(ceiling, (x, height // 2 - 9), (x + 55, height // 2 + 9), (255,) * 3, -1)
    zone.quads.append(Quad(np.array([x0, y0, CEILING_M]), u, -v, ceiling, tile_m=2.5))
    zone.boxes.append(Box((x0, y0, CEILING_M), (x1, y1, CEILING_M + 0.2)))


def _furniture(rng: np.random.Generator, zone: Zone, shelf: Shelf) -> None:
    """Cupboards, shelves and desks along the walls, which stay on every visit."""
    (x0, y0), (x1, y1) = zone.low, zone.high
    assert zone.door is not None
    far = y1 if zone.door[1] == y0 else y0
    into = -1 if far == y1 else 1
    for _ in range(int(rng.integers(2, 5))):
        w, d = float(rng.uniform(0.6, 1.6)), float(rng.uniform(0.35, 0.65))
        h = float(rng.choice([0.75, 1.1, 1.9]))
        if rng.uniform() < 0.5:  # at the far wall
            x = float(rng.uniform(x0 + 0.1, x1 - w - 0.1))
            low, high = (x, min(far, far + into * d)), (x + w, max(far, far + into * d))
        else:  # at a side wall
            y = float(rng.uniform(y0 + 1.0, max(y0 + 1.1, y1 - w - 0.9)))
            west = rng.uniform() < 0.5
            low = (x0, y) if west else (x1 - d, y)
            high = (x0 + d, y + w) if west else (x1, y + w)
        sides = []
        for across in (high[0] - low[0], high[1] - low[1]) * 2:
            sides.append(_front(rng, int(h * 80), max(8, int(across * 80)), shelf))
        top = MATERIALS['boards'](rng, 40, 60)
        zone.quads.extend(prop.solid((*low, 0.0), (*high, h), sides, top))
        zone.boxes.append(Box((*low, 0.0), (*high, h)))


def _front(rng: np.random.Generator, height: int, width: int, shelf: Shelf) -> Rgb:
    """A shelf with books, a front with drawers, or a picture."""
    kind = rng.uniform()
    if kind < 0.3:
        return shelf.crop(rng, height, width)
    base = hue(rng, (0.1, 0.6), (0.3, 0.85))
    image = shade(base, 0.05 * noise(rng, height, width, 30.0))
    rows = max(1, height // int(rng.integers(24, 42)))
    for row in range(rows):
        top, bottom = row * height // rows + 3, (row + 1) * height // rows - 2
        if kind < 0.7:
            x = 4
            while x < width - 10:
                thick = int(rng.integers(3, 9))
                reach = int(rng.uniform(0.0, 0.3) * (bottom - top))
                colour = hue(rng, (0.2, 0.9), (0.2, 0.9)).tolist()
                cv2.rectangle(image, (x, top + reach), (x + thick, bottom), colour, -1)
                x += thick + 1
        else:
            cv2.rectangle(image, (3, top), (width - 4, bottom), (base * 0.6).tolist(), 2)
            cv2.circle(image, (width // 2, (top + bottom) // 2), 3, (40, 40, 40), -1)
    return image
