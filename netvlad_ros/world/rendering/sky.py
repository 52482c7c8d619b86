"""Sky: a panorama of clouds and skyline, sampled by direction."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.world.rendering.texture import noise

_WIDTH, _HEIGHT = 1440, 360  # 4 px a degree
_TOP_DEG, _BOTTOM_DEG = 70.0, -20.0  # elevation


class Sky:
    """The panorama of one day: clouds over a gradient, hills and roofs at the horizon."""

    def __init__(
        self,
        rng: np.random.Generator,
        zenith: tuple[float, float, float],
        horizon: tuple[float, float, float],
        cloud: float,
    ) -> None:
        """Draw the panorama.

        Args:
            rng: of the clouds.
            zenith: RGB 0..255.
            horizon: RGB 0..255.
            cloud: share of the sky that is covered, 0..1.
        """
        elevation = np.linspace(_TOP_DEG, _BOTTOM_DEG, _HEIGHT, dtype=np.float32)[:, None]
        mix = np.clip(elevation / 60.0, 0, 1)[..., None] ** 0.7
        image = mix * np.array(zenith, np.float32) + (1 - mix) * np.array(horizon, np.float32)
        image = np.broadcast_to(image, (_HEIGHT, _WIDTH, 3)).copy()
        clouds = _around(noise(rng, _HEIGHT, _WIDTH, 130.0, 4))
        puffs = np.clip(0.9 * clouds + 2.4 * cloud - 1.6, 0, 1)[..., None]
        image += puffs * (np.array([236, 236, 238], np.float32) - image) * 0.85
        # The skyline is the same on every day: it has its own seed.
        skyline = np.random.default_rng(7)
        hills = 4.0 + 2.2 * _around(noise(skyline, 2, _WIDTH, 200.0))[0]
        image[elevation[:, 0][:, None] < hills[None]] = np.array(horizon, np.float32) * np.array(
            [0.62, 0.72, 0.66], np.float32
        )
        x = 0
        while x < _WIDTH:
            width, top = int(skyline.integers(14, 60)), skyline.uniform(1.0, 5.5)
            grey = np.array(horizon, np.float32) * skyline.uniform(0.45, 0.8)
            image[elevation[:, 0] < top, x : x + width] = grey
            x += width
        self._panorama = np.clip(image, 0, 255).astype(np.uint8)

    def draw(
        self, K: NDArray[np.float64], size: tuple[int, int], R_map_cam: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """The sky alone, uint8 (h, w, 3) for size (w, h); directions are interpolated on a grid."""
        w, h = size
        cols, rows = max(1, w // 16), max(1, h // 16)
        xs = (np.arange(cols) + 0.5) * (w / cols) - 0.5
        ys = (np.arange(rows) + 0.5) * (h / rows) - 0.5
        across, down = np.meshgrid((xs - K[0, 2]) / K[0, 0], (ys - K[1, 2]) / K[1, 1])
        d = np.stack([across, down, np.ones_like(across)], -1) @ R_map_cam.T
        azimuth = np.unwrap(np.arctan2(d[..., 1], d[..., 0]), axis=1)
        azimuth += 2 * np.pi * np.round((azimuth[:1, :1] - azimuth[:, :1]) / (2 * np.pi))
        elevation = np.degrees(np.arctan2(d[..., 2], np.hypot(d[..., 0], d[..., 1])))
        x = (-azimuth / (2 * np.pi) * _WIDTH).astype(np.float32)
        y = ((_TOP_DEG - elevation) / (_TOP_DEG - _BOTTOM_DEG) * _HEIGHT).astype(np.float32)
        from_x = np.mod(cv2.resize(x, (w, h), interpolation=cv2.INTER_LINEAR), _WIDTH)
        from_y = cv2.resize(y, (w, h), interpolation=cv2.INTER_LINEAR)
        image = cv2.remap(
            self._panorama, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(image, np.uint8)


def _around(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The panorama without a seam at its ends: the second half mirrors the first."""
    half = image[:, : image.shape[1] // 2]
    return np.concatenate([half, half[:, ::-1]], axis=1)
