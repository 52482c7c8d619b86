"""Intrinsics: a camera calibration as five numbers that landmarks can determine."""

from __future__ import annotations

import math

import numpy as np

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.geometry import Array

# log of the focal length in image widths, log of fx / fy, principal point in image widths, first
# radial coefficient of the distortion model.
FOCAL, ASPECT, CENTRE_X, CENTRE_Y, RADIAL = range(5)
COUNT = 5
STEP = 1e-5  # of a derivative by differences: of a ray, and of the radial coefficient


def intrinsics_of(camera: CameraModel) -> Array:
    """The five numbers (5,) of a camera; they do not depend on the size of its images."""
    fx, fy = camera.K[0, 0], camera.K[1, 1]
    return np.array(
        [
            math.log(math.sqrt(fx * fy) / camera.width),
            math.log(fx / fy),
            (camera.K[0, 2] + 0.5) / camera.width,
            (camera.K[1, 2] + 0.5) / camera.width,
            camera.d[0] if len(camera.d) else 0.0,
        ]
    )


def with_intrinsics(camera: CameraModel, intrinsics: Array) -> CameraModel:
    """The camera with other intrinsics (5,); the other coefficients of its lens stay.

    Raises:
        NetvladError: the numbers are no calibration.
    """
    focal, aspect, x, y, radial = intrinsics.tolist()
    width = camera.width
    fx, fy = (width * math.exp(min(focal + sign * aspect / 2, 20.0)) for sign in (1, -1))
    d = camera.d if len(camera.d) else np.zeros(4)  # plumb_bob alone may have none
    return CameraModel.create(
        width,
        camera.height,
        [[fx, 0, x * width - 0.5], [0, fy, y * width - 0.5], [0, 0, 1]],
        camera.distortion_model,
        [radial, *d[1:]],
    )


def linearized(camera: CameraModel, rays: Array) -> tuple[Array, Array, Array]:
    """Pixels of rays, and how they change with ray and intrinsics; NaN for rays not seen.

    Args:
        camera: the camera.
        rays: (n, 2), x/z and y/z.

    Returns:
        Pixels (n, 2), their derivatives (n, 2, 2) by the rays and (n, 2, 5) by the intrinsics.
    """
    one = np.ones(len(rays))
    at, right, below = (
        camera.project(np.column_stack([rays + offset, one]))
        for offset in ((0.0, 0.0), (STEP, 0.0), (0.0, STEP))
    )
    bent = intrinsics_of(camera)
    bent[RADIAL] += STEP
    by = np.zeros((len(rays), 2, COUNT))
    by[:, :, FOCAL] = off = at - camera.K[:2, 2]
    by[:, :, ASPECT] = off * (0.5, -0.5)
    by[:, 0, CENTRE_X] = by[:, 1, CENTRE_Y] = camera.width
    again = with_intrinsics(camera, bent).project(np.column_stack([rays, one]))
    by[:, :, RADIAL] = (again - at) / STEP
    return at, np.stack([right - at, below - at], axis=2) / STEP, by
