"""VisitedPanorama: one point of the world, photographed all around, at several visits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.files.image_files import image_names
from netvlad_ros.world.rendering.camera import R_BODY_OPTICAL, Camera
from netvlad_ros.world.rendering.panorama import Panorama
from netvlad_ros.world.rendering.view_structure import is_structured
from netvlad_ros.world.visit import Visit

_VIEW_DEG = 55.0, 90.0  # field of view across the image
_STEP_DEG = 30.0  # of the yaw, between two images
_JITTER_DEG = 9.0  # of the yaw of an image
_PITCH_DEG = 10.0
_ROLL_DEG = 2.0  # standard deviation
_EXPOSURE = -0.9, 0.6  # powers of two
_GAMMA = -0.5, 0.5  # powers of two
_WARMTH = 0.16  # largest gain of red against blue
_TINT = 0.05  # largest gain of green
_SHIFT = 64  # of the noise, in each direction [px]


class VisitedPanorama:
    """Views of a panorama. A visit has its own field of view, exposure, curve and white balance.

    All views are taken from one point: visits differ in rotation, zoom and light, without parallax.

    Args:
        path: of an equirectangular, tone-mapped image.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._photo: NDArray[np.uint8] | None = None

    def camera(self, visit: Visit, size: tuple[int, int]) -> Camera:
        """The camera of a visit, for images of size (width, height) [px]."""
        view = math.radians(visit.rng(1).uniform(*_VIEW_DEG))
        return Camera(*size, focal_px=size[0] / 2 / math.tan(view / 2))

    def poses(self, visit: Visit, spacing_m: float) -> list[NDArray[np.float64]]:
        """Camera poses T_map_cam (4, 4), all around; the spacing has no meaning at one point."""
        rng = visit.rng(2)
        count = round(360.0 / _STEP_DEG)
        yaw = rng.uniform(0.0, 360.0) + _STEP_DEG * np.arange(count)
        yaw += rng.uniform(-_JITTER_DEG, _JITTER_DEG, count)
        pitch = rng.uniform(-_PITCH_DEG, _PITCH_DEG, count)
        roll = rng.normal(0.0, _ROLL_DEG, count)
        poses = np.tile(np.eye(4), (count, 1, 1))
        turned = Rotation.from_euler('ZYX', np.stack([yaw, pitch, roll], axis=1), degrees=True)
        poses[:, :3, :3] = turned.as_matrix() @ R_BODY_OPTICAL
        return list(poses)

    def images(
        self, visit: Visit, poses: list[NDArray[np.float64]], camera: Camera
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.uint8]]]:
        """The images at poses T_map_cam (4, 4), each with its pose; without bare walls and sky."""
        panorama, sensor = Panorama(self._read(), camera), _Sensor(visit, camera)
        for T_map_cam in poses:
            view = panorama.view(T_map_cam[:3, :3])
            if is_structured(view):
                yield T_map_cam, sensor.expose(view)

    def _read(self) -> NDArray[np.uint8]:
        if self._photo is None:
            photo = read_image(self._path)
            if photo.shape[1] != 2 * photo.shape[0]:
                raise NetvladError(
                    f'{self._path} has {photo.shape[1]}x{photo.shape[0]} pixels; an '
                    'equirectangular panorama is twice as wide as high'
                )
            self._photo = photo
        return self._photo


def panorama_files(folder: Path) -> dict[str, Path]:
    """The panoramas in a folder by the names of their places, in the order of the names.

    Raises:
        NetvladError: the folder holds no image, or two of one name.
    """
    if not folder.is_dir():
        raise NetvladError(f'--panoramas: {folder} is no folder')
    files: dict[str, Path] = {}
    for name in image_names(folder):
        place = '_'.join(Path(name).with_suffix('').parts)
        if place in files:
            raise NetvladError(f'--panoramas: {folder} holds two images for the place {place}')
        files[place] = folder / name
    if not files:
        raise NetvladError(f'--panoramas: {folder} holds no image (jpg, png, ...)')
    return files


class _Sensor:
    """Exposure, curve and white balance of a visit, its vignette and noise."""

    def __init__(self, visit: Visit, camera: Camera) -> None:
        rng, light = visit.rng(3), visit.daylight
        exposure, gamma = 2.0 ** rng.uniform(*_EXPOSURE), 2.0 ** rng.uniform(*_GAMMA)
        warmth, tint = rng.uniform(-_WARMTH, _WARMTH), rng.uniform(-_TINT, _TINT)
        gains = exposure * np.array([1.0 + warmth, 1.0 + tint, 1.0 - warmth])
        curve = (np.arange(256) / 255.0) ** gamma
        table = np.clip(255.0 * curve[:, None] * gains, 0, 255).round().astype(np.uint8)
        self._table, self._rng = table[None], visit.rng(4)
        height, width = camera.height, camera.width
        y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
        falloff = (1.0 - light.vignette * 0.5 * (x * x + y * y)).astype(np.float32)
        self._falloff = cv2.merge([falloff] * 3)
        # Drawn once a visit and shifted for each image: drawing it takes longer than the view.
        shape = height + _SHIFT, width + _SHIFT, 3
        self._noise = light.noise * self._rng.standard_normal(shape, dtype=np.float32)

    def expose(self, view: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = view.shape[:2]
        y, x = self._rng.integers(_SHIFT, size=2)
        value = cv2.multiply(cv2.LUT(view, self._table), self._falloff, dtype=cv2.CV_32F)
        noise = self._noise[y : y + height, x : x + width]
        return np.asarray(cv2.add(value, noise, dtype=cv2.CV_8U), np.uint8)
