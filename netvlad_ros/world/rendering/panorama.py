"""Panorama: a photograph of all directions around one point, and perspective views of it."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.world.rendering.camera import Camera

_BORDER = 2  # columns that are repeated at both ends, for the interpolation
_CELL = 8  # directions are computed at every eighth pixel and interpolated in between [px]


class Panorama:
    """An equirectangular image: the azimuth falls along x, the elevation along y.

    The middle column looks along the x axis of the map, and columns to its left have a larger
    azimuth (counter-clockwise). The middle row is the horizon.

    Args:
        image: uint8 (H, 2 H, 3) RGB.
        camera: of the views. Where the image is finer than the views, it is reduced to their
            resolution once, so that no view shows aliasing.
    """

    def __init__(self, image: NDArray[np.uint8], camera: Camera) -> None:
        finest = 2.0 * math.pi * camera.focal_px  # columns of a panorama as fine as the views
        if image.shape[1] > finest:
            size = max(8, round(finest)), max(4, round(finest * image.shape[0] / image.shape[1]))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        self._height, self._width = image.shape[:2]
        self._image = cv2.copyMakeBorder(image, 0, 0, _BORDER, _BORDER, cv2.BORDER_WRAP)
        self._camera = camera
        # One cell more on every side: cv2.resize interpolates between centres of cells only.
        self._cells = -(-camera.height // _CELL) + 2, -(-camera.width // _CELL) + 2
        K = camera.K
        row, column = ((np.arange(n) - 0.5) * _CELL - 0.5 for n in self._cells)
        across, down = np.meshgrid((column - K[0, 2]) / K[0, 0], (row - K[1, 2]) / K[1, 1])
        self._rays = np.stack([across, down, np.ones_like(across)]).reshape(3, -1)

    def view(self, R_map_cam: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The view of a camera, uint8 (height, width, 3) RGB.

        Args:
            R_map_cam: (3, 3) rotation of the optical frame; z of the map is up. Neither the zenith
                nor the nadir may be in view.
        """
        x, y, z = R_map_cam @ self._rays
        heading = math.atan2(R_map_cam[1, 2], R_map_cam[0, 2])
        # Relative to the heading, the azimuth has no jump within the view.
        forward = math.cos(heading) * x + math.sin(heading) * y
        left = math.cos(heading) * y - math.sin(heading) * x
        azimuth, elevation = np.arctan2(left, forward), np.arctan2(z, np.hypot(x, y))
        columns = (0.5 - (heading + azimuth) / (2 * np.pi)) * self._width - 0.5
        rows = (0.5 - elevation / np.pi) * self._height - 0.5
        view = cv2.remap(
            self._image,
            np.mod(self._finer(columns), np.float32(self._width)) + np.float32(_BORDER),
            self._finer(rows),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(view, np.uint8)

    def _finer(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """From the centres of cells to all pixels, float32 (height, width)."""
        rows, columns = self._cells
        cells = values.reshape(self._cells).astype(np.float32)
        fine = cv2.resize(cells, (columns * _CELL, rows * _CELL), interpolation=cv2.INTER_LINEAR)
        height, width = self._camera.height, self._camera.width
        return np.asarray(fine[_CELL : _CELL + height, _CELL : _CELL + width], np.float32)
