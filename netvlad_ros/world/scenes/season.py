"""dress(): the look of a town in a season, with leaves, snow and wet ground."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.world.rendering.quad import Quad
from netvlad_ros.world.rendering.texture import noise

_LEAF = np.array([[30, 60, 20], [95, 255, 255]], np.uint8)  # HSV of OpenCV: greens and olive


def dress(
    quads: list[Quad], season: str, *, wet: bool, sky: tuple[float, float, float], seed: int
) -> list[Quad]:
    """The quads as they look in a season and after rain.

    Green parts of quads with alpha are leaves. Horizontal quads at z = 0 are ground.

    Args:
        quads: as they look in summer.
        season: summer, autumn, winter or spring.
        wet: whether the ground is wet.
        sky: RGB 0..255 that puddles reflect.
        seed: of leaves, snow and puddles.
    """
    rng = np.random.default_rng(seed)
    dressed = []
    for quad in quads:
        texture = quad.texture
        if texture.shape[2] == 4 and quad.two_sided:
            texture = _foliage(rng, texture, season)
        elif quad.normal[2] > 0.5 and abs(quad.origin[2]) < 0.01:
            texture = _floor(rng, texture, season, wet, sky)
        dressed.append(quad if texture is quad.texture else replace(quad, texture=texture))
    return dressed


def _foliage(
    rng: np.random.Generator, texture: NDArray[np.uint8], season: str
) -> NDArray[np.uint8]:
    if season == 'summer':
        return texture
    hsv = cv2.cvtColor(np.ascontiguousarray(texture[..., :3]), cv2.COLOR_RGB2HSV)
    leaf = cv2.inRange(hsv, _LEAF[0], _LEAF[1]) > 0
    if leaf.mean() < 0.2:  # a rail, a lamp
        return texture
    out = texture.copy()
    if season == 'winter':  # twigs and what clings to them
        hsv[leaf] = (14, 70, 80)
        out[..., 3][noise(rng, leaf.shape[0], leaf.shape[1], 7.0, 2) > -0.9] = 0
    elif season == 'autumn':
        hsv[leaf, 0] = int(rng.integers(4, 20))
        hsv[leaf, 1] = np.maximum(hsv[leaf, 1], 150)
        hsv[leaf, 2] = np.minimum(hsv[leaf, 2], 255 - 45) + 45
        out[..., 3][noise(rng, leaf.shape[0], leaf.shape[1], 9.0, 2) > 1.0] = 0
    else:
        hsv[leaf, 0] = 36
        hsv[leaf, 2] = np.minimum(hsv[leaf, 2], 255 - 60) + 60
        out[..., 3][noise(rng, leaf.shape[0], leaf.shape[1], 9.0, 2) > 0.7] = 0
    out[..., :3] = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return out


def _floor(
    rng: np.random.Generator,
    texture: NDArray[np.uint8],
    season: str,
    wet: bool,
    sky: tuple[float, float, float],
) -> NDArray[np.uint8]:
    height, width = texture.shape[:2]
    cover = None
    if season == 'winter':
        cover, colour = _patches(rng, height, width, -0.2), (226, 230, 238)
    elif season == 'autumn':
        cover, colour = _patches(rng, height, width, 1.1), (150, 96, 40)
    out = texture
    if wet:
        out = np.asarray(cv2.convertScaleAbs(out, alpha=0.62), np.uint8)
        out = _mix(out, _patches(rng, height, width, 1.2), sky)
    if cover is not None:
        out = _mix(out, cover, colour)
    return out


def _patches(
    rng: np.random.Generator, height: int, width: int, above: float
) -> NDArray[np.float32]:
    """Share (height, width) of each texel that is covered: 0 to 0.8, with soft edges."""
    relief = noise(rng, height // 8, width // 8, 30.0, 4)
    share = np.clip((relief - above) * 2.0, 0.0, 0.8)
    return np.asarray(cv2.resize(share, (width, height)), np.float32)


def _mix(
    image: NDArray[np.uint8], share: NDArray[np.float32], colour: tuple[float, float, float]
) -> NDArray[np.uint8]:
    over = np.empty_like(image)
    over[:] = np.array(colour, np.uint8)
    return np.asarray(cv2.blendLinear(image, over, 1 - share, share), np.uint8)
