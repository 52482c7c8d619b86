"""Image messages and camera_info whose numbers need not fit or make sense, for fuzz.py."""

from __future__ import annotations

import random
from types import SimpleNamespace


def image_message(source: random.Random) -> SimpleNamespace:
    """An image message whose numbers need not fit."""
    sizes = (0, 1, 2, 15, 16, 17, 64, 1000, 16384, 2**31, 2**32 - 1)
    width, height = source.choice(sizes), source.choice(sizes)
    channels = source.choice((1, 2, 3, 4, 6, 8))
    return SimpleNamespace(
        encoding=source.choice(('mono8', 'rgb8', 'bgra16', 'yuyv', 'nv12', 'bayer_rggb16', '8UC5')),
        width=width,
        height=height,
        step=source.choice((0, width, width * channels, width * channels + 3, 2**32 - 1)),
        is_bigendian=source.choice((0, 1, 7)),
        data=bytes(source.choice((0, 1, min(width * height * channels, 10**6)))),
    )


def camera_info(source: random.Random) -> SimpleNamespace:
    """A camera_info whose numbers need not make sense."""

    def number() -> float:
        extreme = source.choice((0.0, -1.0, 1e-300, 1e308, float('nan'), float('inf')))
        return source.uniform(-10, 1000) if source.random() < 0.9 else extreme

    def whole() -> int:
        return source.choice((0, 1, 16, 480, 640, 16384, 2**32 - 1))

    model = source.choice(('plumb_bob', 'rational_polynomial', 'equidistant', '', '\x1b[2J'))
    fx, fy, cx, cy = (number() for _ in range(4))
    return SimpleNamespace(
        width=whole(),
        height=whole(),
        binning_x=source.choice((0, 0, 1, 2, 2**32 - 1)),
        binning_y=source.choice((0, 0, 1, 2)),
        roi=SimpleNamespace(width=whole(), height=whole(), x_offset=whole(), y_offset=whole()),
        distortion_model=model,
        d=[number() / 1000 for _ in range(source.choice((0, 4, 5, 8, 14, 3)))],
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        p=[number() for _ in range(12)],
    )
