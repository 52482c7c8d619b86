"""Renderer: quads to images by homographies, a z-buffer, mipmaps and supersampling."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.world.rendering.camera import Camera
from netvlad_ros.world.rendering.quad import Quad
from netvlad_ros.world.rendering.sky import Sky

NEAR_M = 0.12
_EDGE_ON_M = 1e-4  # distance to its own plane below which a tile is not drawn
SUPERSAMPLING = 2


@dataclass(frozen=True, eq=False)
class _Tile:
    pyramid: tuple[NDArray[np.uint8], ...]
    offset: tuple[float, float]  # texel of the tile's origin
    texels: tuple[float, float]


class Renderer:
    """Renders images of one world under one light."""

    def __init__(
        self, quads: list[Quad], sky: Sky, camera: Camera, supersampling: float = SUPERSAMPLING
    ) -> None:
        """Prepare tiles and mipmaps.

        Args:
            quads: the lit surfaces.
            sky: behind them.
            camera: of all images.
            supersampling: drawn pixels per pixel of the image, along a side.
        """
        self._sky, self._camera = sky, camera
        self._K = camera.supersampled(supersampling)
        self._size = (round(camera.width * supersampling), round(camera.height * supersampling))
        self._tiles: list[_Tile] = []
        corners, normals, two_sided, frames = [], [], [], []
        for quad in quads:
            pyramid = _pyramid(quad.texture)
            height, width = quad.texture.shape[:2]
            for s0, t0, s1, t1 in quad.tiles():
                origin = quad.origin + s0 * quad.u + t0 * quad.v
                u, v = (s1 - s0) * quad.u, (t1 - t0) * quad.v
                frames.append(np.column_stack([quad.u / width, quad.v / height, origin]))
                texels = ((s1 - s0) * width, (t1 - t0) * height)
                self._tiles.append(_Tile(pyramid, (s0 * width, t0 * height), texels))
                corners.append([origin, origin + u, origin + u + v, origin + v])
                normals.append(quad.normal)
                two_sided.append(quad.two_sided)
        self._corners = np.array(corners)  # (Q, 4, 3)
        self._normals, self._two_sided = np.array(normals), np.array(two_sided)
        # (Q, 3, 3): one texel of the finest level along u and along v, and the origin [m]
        self._frames = np.array(frames)

    def render(self, T_map_cam: NDArray[np.float64]) -> NDArray[np.uint8]:
        """One image, uint8 (H, W, 3) RGB, from a camera pose T_map_cam (4, 4), optical frame."""
        R, eye = T_map_cam[:3, :3], T_map_cam[:3, 3]
        canvas = self._sky.draw(self._K, self._size, R)
        nearness = np.zeros(canvas.shape[:2], np.float32)  # 1 / depth [1/m]; 0 is the sky
        corners = (self._corners - eye) @ R
        visible = self._visible(corners, eye)
        # texel -> pixel: p ~ K [u v o] (s, t, 1); the inverse also gives 1/depth as its third row
        frames = self._frames[visible]
        frames[:, :, 2] -= eye
        pixel_to_texel = np.linalg.inv(self._K @ (R.T @ frames))
        for index, M in zip(visible, pixel_to_texel, strict=True):
            self._draw(self._tiles[index], corners[index], M, canvas, nearness)
        size = (self._camera.width, self._camera.height)
        return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _visible(self, corners: NDArray[np.float64], eye: NDArray[np.float64]) -> NDArray[np.int64]:
        """Tiles that face the camera within its view, nearest first, because they hide many."""
        x, y, z = corners[..., 0], corners[..., 1], corners[..., 2]
        wide = self._size[0] / 2 / self._K[0, 0]
        high = self._size[1] / 2 / self._K[1, 1]
        outside = (z < NEAR_M).all(1)
        outside |= (x > wide * z).all(1) | (x < -wide * z).all(1)
        outside |= (y > high * z).all(1) | (y < -high * z).all(1)
        facing = np.einsum('qi,qi->q', eye - self._corners[:, 0], self._normals)
        facing = np.where(self._two_sided, np.abs(facing), facing)
        keep = np.flatnonzero(~outside & (facing > _EDGE_ON_M))
        return keep[np.argsort(z[keep].mean(1))]

    def _draw(
        self,
        tile: _Tile,
        corners: NDArray[np.float64],
        M: NDArray[np.float64],
        canvas: NDArray[np.uint8],
        nearness: NDArray[np.float32],
    ) -> None:
        polygon = _clip(corners) @ self._K.T  # the third column is the depth
        outline = polygon[:, :2] / polygon[:, 2:]
        x0, y0 = np.maximum(np.floor(outline.min(0)), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(outline.max(0)).astype(int) + 1, self._size)
        if x0 >= x1 or y0 >= y1:
            return
        behind = nearness[y0:y1, x0:x1]
        if behind.min() * polygon[:, 2].min() > 1.0:  # hidden completely
            return
        xs, ys = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)
        near = (M[2, 0] * xs + M[2, 2]).astype(np.float32) + (M[2, 1] * ys).astype(np.float32)[
            :, None
        ]
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        points = np.round((outline - (x0, y0)) * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, points, 255, shift=4)
        mask &= np.where(near > behind, np.uint8(255), np.uint8(0))
        if not mask.any():
            return
        level = self._level(tile, outline)
        texture = tile.pyramid[level]
        scale = 0.5**level
        to_level = np.array([
            [scale, 0.0, tile.offset[0] * scale - 0.5],
            [0.0, scale, tile.offset[1] * scale - 0.5],
            [0.0, 0.0, 1.0],
        ])  # fmt: skip
        shift = np.array([[1.0, 0.0, x0], [0.0, 1.0, y0], [0.0, 0.0, 1.0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        pixels = cv2.warpPerspective(
            texture,
            to_level @ M @ shift,
            (x1 - x0, y1 - y0),
            flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if pixels.shape[2] == 4:
            mask &= np.where(pixels[..., 3] > 127, np.uint8(255), np.uint8(0))
            pixels = np.ascontiguousarray(pixels[..., :3])
        cv2.copyTo(pixels, mask, canvas[y0:y1, x0:x1])
        cv2.copyTo(near, mask, behind)

    def _level(self, tile: _Tile, outline: NDArray[np.float64]) -> int:
        """Mipmap level with texels about as large as pixels, by the tile's area in the image."""
        seen = cv2.contourArea(outline.astype(np.float32))
        texels = tile.texels[0] * tile.texels[1]
        level = 0.5 * np.log2(max(texels / max(seen, 1.0), 1.0)) + 0.35
        return int(min(level, len(tile.pyramid) - 1))


def _pyramid(texture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    levels = [texture]
    while min(levels[-1].shape[:2]) >= 4:
        height, width = levels[-1].shape[:2]
        size = (max(1, width // 2), max(1, height // 2))
        half = cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(half, np.uint8))
    return tuple(levels)


def _clip(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The polygon (4, 3) in the optical frame, clipped at the near plane."""
    if (corners[:, 2] >= NEAR_M).all():
        return corners
    out = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if a[2] >= NEAR_M:
            out.append(a)
        if (a[2] >= NEAR_M) != (b[2] >= NEAR_M):
            out.append(a + (b - a) * (NEAR_M - a[2]) / (b[2] - a[2]))
    return np.array(out)
