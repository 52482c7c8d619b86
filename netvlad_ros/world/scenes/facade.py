"""facade(): the front of a building as one image, with windows, doors, shop, mural and ivy."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.world.rendering.texture import (
    MATERIALS,
    PX_PER_M,
    Rgb,
    hue,
    noise,
    shade,
    weathering,
)

# fmt: off
SHOPS = (
    'BAKERY', 'CAFE LUNA', 'BOOKS', 'PHARMACY', 'HARDWARE', 'FLORIST', 'CYCLES', 'BAR 22',
    'TAILOR', 'RECORDS', 'PIZZA', 'OPTIC', 'CHEESE', 'HOTEL', 'GALLERY', 'SUSHI', 'TOYS', 'WINE',
    'BANK', 'DELI', 'SHOES', 'BARBER', 'PRINT', 'LAMPS', 'TEA', 'PAINT', 'MUSIC', 'KEYS', 'FISH',
    'CINEMA',
)
# fmt: on
FONTS = (
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
    cv2.FONT_HERSHEY_SIMPLEX,
)  # fmt: skip


def _m(metres: float) -> int:
    return round(metres * PX_PER_M)


def facade(
    rng: np.random.Generator, width_m: float, height_m: float, shares: NDArray[np.float64]
) -> Rgb:
    """Paint a street front, uint8 (H, W, 3) RGB at PX_PER_M; shares: (7,) of the materials."""
    height, width = _m(height_m), _m(width_m)
    wall = MATERIALS[str(rng.choice(list(MATERIALS), p=shares))](rng, height, width)
    if rng.uniform() < 0.35:  # a plinth of another material
        low = _m(rng.uniform(0.5, 1.3))
        wall[-low:] = MATERIALS['stone'](rng, low, width)
    wall = weathering(rng, wall)
    storey = rng.uniform(2.6, 3.2)
    ground = min(storey + 0.2, height_m)
    kind = str(rng.choice(['house', 'shop', 'garage', 'mural'], p=[0.32, 0.38, 0.14, 0.16]))
    if kind == 'mural':
        _mural(
            rng, wall[_m(max(0.0, height_m - 4.5)) : height - _m(0.3), _m(0.3) : width - _m(0.3)]
        )
    else:
        _upper_floors(rng, wall, storey, ground)
        {'house': _house, 'shop': _shop, 'garage': _garage}[kind](rng, wall[-_m(ground) :])
    if rng.uniform() < 0.3:
        _ivy(rng, wall)
    if rng.uniform() < 0.6:  # rain pipe
        x = int(rng.choice([_m(0.15), width - _m(0.2)]))
        cv2.rectangle(wall, (x, 0), (x + 6, height), hue(rng, (0, 0.3), (0.2, 0.6)).tolist(), -1)
    wall[: _m(0.18)] = hue(rng, (0.0, 0.3), (0.3, 0.9))  # eaves
    return wall


def plain_wall(rng: np.random.Generator, width_m: float, height_m: float) -> Rgb:
    """A plain wall: backs, sides, low walls."""
    name = str(rng.choice(['brick', 'plaster', 'boards', 'panels', 'stone']))
    return weathering(rng, MATERIALS[name](rng, _m(height_m), _m(width_m)))


def _window(
    rng: np.random.Generator,
    image: Rgb,
    box: tuple[int, int, int, int],
    frame: list[float],
    style: int,
    glass: list[float],
) -> None:
    """box: x, y, w, h [px]; style chooses bars, arch, shutters."""
    x, y, w, h = box
    cv2.rectangle(image, (x - 4, y - 4), (x + w + 4, y + h + 4), frame, -1)
    pane = shade(np.array(glass, np.float32), 0.25 * noise(rng, h, w, h / 2, 2)[:h, :w])
    lower = int(rng.integers(0, h))
    if rng.uniform() < 0.4:  # blind or curtain
        pane[:lower] = np.clip(pane[:lower].astype(np.int16) + 70, 0, 255).astype(np.uint8)
    target = image[y : y + h, x : x + w]
    target[:] = pane[: target.shape[0], : target.shape[1]]
    bars = {0: (1, 1), 1: (1, 0), 2: (0, 1), 3: (2, 1), 4: (0, 0), 5: (1, 2)}[style % 6]
    for i in range(bars[0]):
        px = x + (i + 1) * w // (bars[0] + 1)
        cv2.line(image, (px, y), (px, y + h), frame, 3)
    for i in range(bars[1]):
        py = y + (i + 1) * h // (bars[1] + 1)
        cv2.line(image, (x, py), (x + w, py), frame, 3)
    cv2.rectangle(image, (x - 7, y + h + 3), (x + w + 7, y + h + 9), frame, -1)


def _upper_floors(rng: np.random.Generator, wall: Rgb, storey: float, ground: float) -> None:
    height, width = wall.shape[:2]
    count = max(1, int(width / PX_PER_M / rng.uniform(1.5, 2.6)))
    w, h = (
        _m(rng.uniform(0.6, min(1.3, 0.75 * width / PX_PER_M / count))),
        _m(rng.uniform(1.0, 1.7)),
    )
    frame, glass = hue(rng, (0, 0.6), (0.2, 1.0)).tolist(), hue(rng, (0.1, 0.4), (0.15, 0.4), 0.6)
    style, shutters = int(rng.integers(6)), rng.uniform() < 0.35
    shutter = hue(rng, (0.4, 0.8), (0.3, 0.7)).tolist()
    bottom = height - _m(ground)
    while bottom - _m(storey) > -_m(0.8):
        y = bottom - _m(0.75) - h
        if y < _m(0.25):
            break
        for i in range(count):
            if rng.uniform() < 0.08:
                continue
            x = int((i + 0.5) * width / count - w / 2)
            if shutters:
                cv2.rectangle(wall, (x - w // 2, y - 2), (x + w + w // 2, y + h + 2), shutter, -1)
            _window(rng, wall, (x, y, w, h), frame, style, glass.tolist())
            if rng.uniform() < 0.15:  # flower box
                box = wall[y + h : y + h + _m(0.25), max(0, x) : x + w]
                box[:] = rng.integers(40, (220, 130, 130), box.shape, dtype=np.uint8)
        bottom -= _m(storey)


def _door(rng: np.random.Generator, image: Rgb, x: int, w: int) -> None:
    floor, h = image.shape[0], _m(rng.uniform(2.0, 2.35))
    colour = hue(rng, (0.25, 0.75), (0.25, 0.7))
    cv2.rectangle(image, (x - 6, floor - h - 6), (x + w + 6, floor), (colour * 0.45).tolist(), -1)
    cv2.rectangle(image, (x, floor - h), (x + w, floor), colour.tolist(), -1)
    for k in range(int(rng.integers(1, 4))):
        y = floor - h + 10 + k * h // 3
        cv2.rectangle(image, (x + 8, y), (x + w - 8, y + h // 4), (colour * 0.7).tolist(), 2)
    cv2.circle(image, (x + w - 8, floor - h // 2), 3, (230, 210, 120), -1)
    number = str(int(rng.integers(1, 99)))
    cv2.putText(
        image, number, (x + w + 12, floor - h + 30), FONTS[0], 0.6, (250, 250, 250), 2, cv2.LINE_AA
    )


def _house(rng: np.random.Generator, image: Rgb) -> None:
    width, w = image.shape[1], _m(rng.uniform(0.85, 1.15))
    x = int(rng.uniform(0.08, 0.8) * (width - w - _m(0.4))) + _m(0.1)
    frame = hue(rng, (0, 0.4), (0.4, 1.0)).tolist()
    style, size = int(rng.integers(6)), _m(rng.uniform(0.7, 1.2))
    for left in range(_m(0.4), width - size - _m(0.3), _m(rng.uniform(1.4, 2.0))):
        if left + size < x - 14 or left > x + w + 40:
            box = (left, _m(1.0), size, _m(1.2))
            _window(rng, image, box, frame, style, hue(rng, (0.1, 0.4), (0.15, 0.4), 0.6).tolist())
    _door(rng, image, x, w)


def _shop(rng: np.random.Generator, image: Rgb) -> None:
    height, width = image.shape[:2]
    front = hue(rng, (0.25, 0.75), (0.2, 0.75))
    top = height - _m(2.9)
    cv2.rectangle(image, (_m(0.15), max(0, top)), (width - _m(0.15), height), front.tolist(), -1)
    name, font = str(rng.choice(SHOPS)), int(rng.choice(FONTS))
    (w, h), _ = cv2.getTextSize(name, font, 1.0, 2)
    scale = min(1.5, (width - _m(0.8)) / w)
    ink = (255, 250, 235) if front.sum() < 400 else (20, 20, 40)
    at = (int((width - w * scale) / 2), max(0, top) + int(_m(0.32) + h * scale / 2))
    cv2.putText(image, name, at, font, scale, ink, 3, cv2.LINE_AA)
    wide, door = _m(0.95), rng.uniform() < 0.5
    left, right = (_m(0.4) + wide, width - _m(0.35)) if door else (_m(0.35), width - _m(0.5) - wide)
    glass = image[height - _m(2.2) : height - _m(0.45), left:right]
    glass[:] = shade(
        hue(rng, (0.1, 0.5), (0.25, 0.6)), 0.2 * noise(rng, glass.shape[0], glass.shape[1], 60.0)
    )
    for _ in range(int(rng.integers(5, 14))):  # the goods
        x, size = int(rng.integers(0, max(1, glass.shape[1] - 20))), int(rng.integers(14, 44))
        y = int(rng.choice([0.55, 0.98]) * glass.shape[0])
        colour = hue(rng, (0.3, 1.0), (0.5, 1.0)).tolist()
        if rng.uniform() < 0.5:
            cv2.rectangle(glass, (x, y - size), (x + size // 2 + 6, y), colour, -1)
        else:
            cv2.circle(glass, (x, y - size // 2), size // 2, colour, -1, cv2.LINE_AA)
    for x in range(left, right, max(60, (right - left) // int(rng.integers(1, 4)))):
        cv2.line(image, (x, height - _m(2.2)), (x, height - _m(0.45)), (front * 0.6).tolist(), 5)
    _door(rng, image, _m(0.3) if door else width - _m(0.35) - wide, wide - _m(0.15))


def _garage(rng: np.random.Generator, image: Rgb) -> None:
    height, width = image.shape[:2]
    colour, h = hue(rng, (0.0, 0.7), (0.4, 0.9)), _m(rng.uniform(2.1, 2.7))
    x, w = _m(0.5), width - _m(rng.uniform(1.0, 1.8))
    gate = image[height - h :, x : x + w]
    ribs = 0.18 * np.sin(np.arange(gate.shape[0]) / rng.uniform(1.5, 4.0)).astype(np.float32)
    gate[:] = shade(colour, np.repeat(ribs[:, None], gate.shape[1], 1))
    if rng.uniform() < 0.6:
        _mural(rng, gate[gate.shape[0] // 4 :])
    else:
        cv2.putText(gate, 'NO PARKING', (14, h // 2), FONTS[0], 0.9, (200, 30, 30), 2, cv2.LINE_AA)


def _mural(rng: np.random.Generator, image: Rgb) -> None:
    """Paint: a ground, large soft shapes, strokes, a word."""
    height, width = image.shape[:2]
    image[:] = shade(hue(rng, (0.2, 0.8), (0.4, 0.95)), 0.1 * noise(rng, height, width, 120.0))
    for _ in range(int(rng.integers(5, 11))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (
            int(rng.integers(20, max(22, width // 4))),
            int(rng.integers(20, max(22, height // 3))),
        )
        thick = -1 if rng.uniform() < 0.65 else int(rng.integers(5, 18))
        colour = hue(rng, (0.3, 1.0), (0.2, 1.0)).tolist()
        cv2.ellipse(image, centre, axes, rng.uniform(0, 180), 0, 360, colour, thick, cv2.LINE_AA)
    for _ in range(int(rng.integers(2, 6))):
        points = rng.integers(0, [width, height], (4, 2)).astype(np.int32)
        colour = hue(rng, (0.2, 1.0), (0.1, 1.0)).tolist()
        cv2.polylines(
            image,
            [points],
            bool(rng.uniform() < 0.5),
            colour,
            int(rng.integers(4, 14)),
            cv2.LINE_AA,
        )


def _ivy(rng: np.random.Generator, wall: Rgb) -> None:
    height, width = wall.shape[:2]
    reach = np.clip(np.linspace(-2.2, 0.9, height, dtype=np.float32), -2, 2)[:, None]
    side = np.abs(np.linspace(-1, 1, width, dtype=np.float32) - rng.uniform(-1, 1))[None]
    leaves = noise(rng, height, width, 60.0, 4) * 0.5 + reach - 1.8 * side > 0.1
    green = shade(
        hue(rng, (0.5, 0.8), (0.25, 0.5), 0.3, 0.03), 0.4 * noise(rng, height, width, 8.0, 2)
    )
    wall[leaves] = green[leaves]
