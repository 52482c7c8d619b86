"""Daylight: sun, shadows, sky and sensor of one day."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.world.rendering.quad import Box, Quad
from netvlad_ros.world.rendering.sky import Sky

Colour = tuple[float, float, float]
_LIGHT_CELL_M = 0.25
_BLOCK = 24  # cells a side of the blocks whose shadows are computed together


@dataclass(frozen=True)
class Daylight:
    """Sun, sky and sensor of one day.

    Attributes:
        sun_azimuth_deg: direction of the sun, from x to y of the map frame.
        sun_elevation_deg: above the horizon.
        sun: RGB factors of direct light.
        ambient: RGB factors of light in the shadow.
        zenith: RGB 0..255 of the sky above.
        horizon: RGB 0..255 of the sky at the horizon.
        cloud: share of the sky that is covered, 0..1.
        exposure: factor of the sensor's signal.
        gamma: exponent of the sensor's curve.
        noise: standard deviation of the sensor's noise, of 255.
        vignette: darkening at the corners, 0..1.
        seed: of the clouds.
    """

    sun_azimuth_deg: float
    sun_elevation_deg: float
    sun: Colour
    ambient: Colour
    zenith: Colour
    horizon: Colour
    cloud: float
    exposure: float = 1.0
    gamma: float = 1.0
    noise: float = 2.0
    vignette: float = 0.15
    seed: int = 0

    @property
    def towards_sun(self) -> NDArray[np.float64]:
        """Unit vector (3,) in the map frame."""
        azimuth, elevation = np.radians([self.sun_azimuth_deg, self.sun_elevation_deg])
        flat = np.cos(elevation)
        return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])

    def sky(self) -> Sky:
        """The panorama of the day."""
        return Sky(np.random.default_rng(self.seed), self.zenith, self.horizon, self.cloud)

    def lit(self, quads: list[Quad], boxes: list[Box]) -> list[Quad]:
        """The quads with light and shadows of the day in their textures."""
        low = np.array([b.low for b in boxes]).reshape(-1, 3)
        high = np.array([b.high for b in boxes]).reshape(-1, 3)
        return [replace(q, texture=self._light(q, low, high)) for q in quads]

    def _light(
        self, quad: Quad, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        height, width = quad.texture.shape[:2]
        rows = int(np.clip(np.linalg.norm(quad.v) / _LIGHT_CELL_M, 1, height))
        cols = int(np.clip(np.linalg.norm(quad.u) / _LIGHT_CELL_M, 1, width))
        t, s = (np.arange(rows) + 0.5) / rows, (np.arange(cols) + 0.5) / cols
        points = quad.origin + s[None, :, None] * quad.u + t[:, None, None] * quad.v
        normal, sun = quad.normal, self.towards_sun
        incidence = (
            0.35 + 0.3 * abs(normal @ sun) if quad.two_sided else max(0.0, float(normal @ sun))
        )
        if incidence > 0:
            start = points + 0.06 * (sun if quad.two_sided else normal)
            direct = incidence * (1.0 - _shadows(start, sun, low, high))
        else:
            direct = np.zeros((rows, cols))
        openness = (
            1.0 if abs(normal[2]) > 0.5 else np.clip(0.72 + 0.06 * points[..., 2:], 0.7, 1.05)
        )
        light = openness * np.array(self.ambient) + direct[..., None] * np.array(self.sun)
        fine = cv2.resize(light.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        texture = quad.texture.copy()
        shaded = texture[..., :3] * fine.reshape(height, width, 3)
        texture[..., :3] = np.clip(shaded, 0, 255).astype(np.uint8)
        return texture

    def develop(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Expose a rendered image, uint8 (H, W, 3): gain, curve, vignette, noise of the sensor."""
        levels = np.arange(256, dtype=np.float32) * np.float32(self.exposure / 255.0)
        curve = 255.0 * np.power(levels, np.float32(self.gamma))
        value = curve[image] * self._falloff(*image.shape[:2])
        value += self.noise * rng.standard_normal(image.shape, dtype=np.float32)
        return np.clip(value, 0, 255).astype(np.uint8)

    def _falloff(self, height: int, width: int) -> NDArray[np.float32]:
        y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
        return (1.0 - self.vignette * 0.5 * (x * x + y * y)).astype(np.float32)[..., None]


def _shadows(
    points: NDArray[np.float64],
    sun: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(rows, cols): 1.0 if a box is between a point (rows, cols, 3) and the sun, else 0.0."""
    shadow = np.zeros(points.shape[:2])
    reach = sun * (high[:, 2].max() / sun[2])  # beyond it, no box is high enough
    for row in range(0, points.shape[0], _BLOCK):
        for col in range(0, points.shape[1], _BLOCK):
            block = points[row : row + _BLOCK, col : col + _BLOCK].reshape(-1, 3)
            ends = np.concatenate([block, block + reach])
            near = (low < ends.max(0)).all(1) & (high > ends.min(0)).all(1)
            hit = np.zeros(len(block), bool)
            for a, b in zip(low[near], high[near], strict=True):
                one, two = ((a - block) / sun).T, ((b - block) / sun).T
                enter, leave = np.minimum(one, two), np.maximum(one, two)
                last = np.minimum(np.minimum(leave[0], leave[1]), leave[2])
                first = np.maximum(np.maximum(enter[0], enter[1]), enter[2])
                hit |= (last > first) & (last > 0.02)
            part = shadow[row : row + _BLOCK, col : col + _BLOCK]
            part[:] = hit.reshape(part.shape)
    return shadow


FIRST_DAY = Daylight(
    sun_azimuth_deg=-62.0,
    sun_elevation_deg=48.0,
    sun=(0.56, 0.52, 0.45),
    ambient=(0.82, 0.85, 0.9),
    zenith=(92, 140, 205),
    horizon=(196, 212, 228),
    cloud=0.45,
    seed=1,
)
SECOND_DAY = Daylight(
    sun_azimuth_deg=158.0,
    sun_elevation_deg=30.0,
    sun=(0.66, 0.54, 0.38),
    ambient=(0.8, 0.77, 0.74),
    zenith=(120, 132, 160),
    horizon=(226, 205, 178),
    cloud=0.75,
    exposure=1.15,
    gamma=1.08,
    noise=4.0,
    vignette=0.3,
    seed=2,
)
