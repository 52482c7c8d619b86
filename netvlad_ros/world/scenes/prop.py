"""Objects in a street: parked cars, crates, trees, lamp posts, road signs."""

from __future__ import annotations

import cv2
import numpy as np

from netvlad_ros.world.rendering.quad import Box, Quad, upright
from netvlad_ros.world.rendering.texture import MATERIALS, Rgb, hue, noise, shade

Point = tuple[float, float]
Prop = tuple[list[Quad], list[Box]]


def solid(
    low: tuple[float, float, float], high: tuple[float, float, float], sides: list[Rgb], top: Rgb
) -> list[Quad]:
    """A box's four sides (south, east, north, west) and its top."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    quads = [upright(corners[i], corners[(i + 1) % 4], z0, z1, sides[i]) for i in range(4)]
    quads.append(
        Quad(np.array([x0, y1, z1]), np.array([x1 - x0, 0, 0]), np.array([0, y0 - y1, 0.0]), top)
    )
    return quads


def car(rng: np.random.Generator, centre: Point, along_x: bool) -> Prop:
    """A parked car or van, about 3.9 m long."""
    paint = hue(rng, (0.0, 0.85), (0.25, 0.95))
    length, width = rng.uniform(3.6, 4.2), rng.uniform(1.55, 1.7)
    van = rng.uniform() < 0.25
    waist, roof = rng.uniform(0.8, 0.95), (1.95 if van else rng.uniform(1.35, 1.5))
    flank, end = _car_body(paint, 160, 40, wheels=True), _car_body(paint, 66, 40, wheels=False)
    glass, rear = _car_glass(paint, 90, 26), _car_glass(paint, 56, 26)
    hood = np.full((20, 20, 3), paint, np.uint8)

    def spans(half_length: float, half_width: float, shift: float) -> tuple[Point, Point]:
        a, b = (half_length, half_width) if along_x else (half_width, half_length)
        dx, dy = (shift, 0.0) if along_x else (0.0, shift)
        cx, cy = centre[0] + dx, centre[1] + dy
        return (cx - a, cy - b), (cx + a, cy + b)

    low, high = spans(length / 2, width / 2, 0.0)
    cabin = spans(length * (0.42 if van else 0.27), width / 2 - 0.06, rng.uniform(-0.25, 0.25))
    order = [flank, end, flank, end] if along_x else [end, flank, end, flank]
    upper = [glass, rear, glass, rear] if along_x else [rear, glass, rear, glass]
    quads = solid((*low, 0.0), (*high, waist), order, hood)
    quads += solid((*cabin[0], waist), (*cabin[1], roof), upper, hood)
    return quads, [Box((*low, 0.0), (*high, waist)), Box((*cabin[0], waist), (*cabin[1], roof))]


def _car_body(paint: np.ndarray, width: int, height: int, wheels: bool) -> Rgb:
    rows = np.linspace(0.12, -0.35, height, dtype=np.float32)[:, None]
    image = shade(paint, np.repeat(rows, width, 1))
    image[-6:] = (30, 30, 32)
    if wheels:
        cv2.line(image, (width // 2, 0), (width // 2, height - 8), (paint * 0.5).tolist(), 1)
        for x in (int(0.2 * width), int(0.8 * width)):
            cv2.circle(image, (x, height - 11), 12, (24, 24, 26), -1, cv2.LINE_AA)
            cv2.circle(image, (x, height - 11), 6, (150, 150, 155), -1, cv2.LINE_AA)
    else:
        for x in (8, width - 8):
            cv2.circle(image, (x, height // 2 - 4), 5, (245, 235, 200), -1, cv2.LINE_AA)
        cv2.rectangle(image, (width // 2 - 12, 24), (width // 2 + 12, 31), (240, 240, 230), -1)
    return image


def _car_glass(paint: np.ndarray, width: int, height: int) -> Rgb:
    image = shade(
        np.array([60, 72, 84], np.float32),
        np.linspace(0.6, -0.2, height, dtype=np.float32)[:, None].repeat(width, 1),
    )
    for x in (0, width // 2, width - 4):
        image[:, x : x + 4] = paint
    image[:4] = paint
    return image


def crate(rng: np.random.Generator, centre: Point) -> Prop:
    """A crate, bin, planter or cabinet."""
    w, d, h = rng.uniform(0.4, 0.9), rng.uniform(0.3, 0.6), rng.uniform(0.5, 1.3)
    name = str(rng.choice(list(MATERIALS)))
    sides = [MATERIALS[name](rng, int(h * 60), int(s * 60)) for s in (w, d, w, d)]
    low, high = (
        (centre[0] - w / 2, centre[1] - d / 2, 0.0),
        (centre[0] + w / 2, centre[1] + d / 2, h),
    )
    quads = solid(low, high, sides, MATERIALS['boards'](rng, 20, 30))
    if rng.uniform() < 0.45:  # a plant in it
        quads += _crossed(
            _crown(rng, 60), centre, h - 0.1, h + rng.uniform(0.5, 1.0), rng.uniform(0.35, 0.6)
        )
    return quads, [Box(low, high)]


def tree(rng: np.random.Generator, centre: Point) -> Prop:
    """Trunk and a crown of three crossed leaf pictures."""
    stem, crown = rng.uniform(1.9, 2.6), rng.uniform(1.1, 1.7)
    bark = shade(hue(rng, (0.2, 0.4), (0.2, 0.4), 0.08), 0.25 * noise(rng, 120, 16, 8.0))
    quads = _crossed(bark, centre, 0.0, stem + 0.5, 0.11)
    for angle in (0.3, 1.35, 2.4):
        quads += [_board(_crown(rng, 150), centre, angle, stem, stem + 2.1 * crown, crown)]
    x, y = centre
    r = 0.6 * crown
    return quads, [Box((x - r, y - r, stem + 0.3), (x + r, y + r, stem + 1.8 * crown))]


def _crown(rng: np.random.Generator, size: int) -> Rgb:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)  # type: ignore[misc]
    leaves = 1.0 - np.hypot(x, y) + 0.22 * noise(rng, size, size, size / 5, 3) > 0.22
    around = rng.choice([0.26, 0.3, 0.33, 0.14])
    image = shade(
        hue(rng, (0.4, 0.75), (0.3, 0.55), around, 0.02),
        0.3 * noise(rng, size, size, 9.0, 2) - 0.2 * y,
    )
    return np.dstack([image, leaves.astype(np.uint8) * 255])


def lamp_post(rng: np.random.Generator, centre: Point) -> Prop:
    """A lantern on a pole."""
    image = np.zeros((256, 40, 4), np.uint8)
    colour = hue(rng, (0.0, 0.5), (0.12, 0.4)).tolist()
    cv2.rectangle(image, (17, 36), (23, 256), (*colour, 255), -1)
    cv2.rectangle(image, (13, 210), (27, 256), (*colour, 255), -1)
    cv2.fillConvexPoly(
        image, np.array([[6, 8], [34, 8], [27, 40], [13, 40]], np.int32), (240, 236, 205, 255)
    )
    cv2.rectangle(image, (4, 2), (36, 8), (*colour, 255), -1)
    return _crossed(image, centre, 0.0, rng.uniform(3.3, 4.2), 0.3), []


def road_sign(rng: np.random.Generator, centre: Point, facing: float) -> Prop:
    """A round, square or three-cornered sign on a pole, facing the direction [rad]."""
    image = np.zeros((200, 52, 4), np.uint8)
    cv2.rectangle(image, (24, 20), (28, 200), (140, 140, 145, 255), -1)
    edge = (*hue(rng, (0.8, 1.0), (0.6, 0.9), rng.choice([0.0, 0.6, 0.12])).tolist(), 255)
    shape = int(rng.integers(3))
    if shape == 0:
        cv2.circle(image, (26, 26), 25, edge, -1, cv2.LINE_AA)
        cv2.circle(image, (26, 26), 18, (245, 245, 245, 255), -1, cv2.LINE_AA)
    elif shape == 1:
        cv2.rectangle(image, (2, 2), (50, 50), edge, -1)
    else:
        cv2.fillConvexPoly(image, np.array([[26, 0], [51, 46], [1, 46]], np.int32), edge)
        cv2.fillConvexPoly(
            image, np.array([[26, 12], [41, 40], [11, 40]], np.int32), (245, 245, 245, 255)
        )
    cv2.putText(
        image,
        'P!?3'[int(rng.integers(4))],
        (17, 36),
        cv2.FONT_HERSHEY_DUPLEX,
        0.8,
        (20, 20, 20, 255),
        2,
    )
    return [_board(image, centre, facing + np.pi / 2, 0.0, 2.4, 0.31)], []


def _board(texture: Rgb, centre: Point, angle: float, low: float, high: float, half: float) -> Quad:
    dx, dy = half * np.cos(angle), half * np.sin(angle)
    left, right = (centre[0] - dx, centre[1] - dy), (centre[0] + dx, centre[1] + dy)
    return upright(left, right, low, high, texture, two_sided=True)


def _crossed(texture: Rgb, centre: Point, low: float, high: float, half: float) -> list[Quad]:
    return [_board(texture, centre, angle, low, high, half) for angle in (0.4, 0.4 + np.pi / 2)]
