"""Intrinsics checked against the drive, and refined where images and poses contradict them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.mapping.triangulation import Observations, triangulate

# Fitting reduces the misfit of a correct calibration by a few percent, of a made-up one by a third.
WORTHWHILE = 0.85
FOCAL_RANGE = (0.75, 1.33)
RADIAL_RANGE = (-0.4, 0.4)
MIN_OBSERVATIONS = 500
MAX_OBSERVATIONS = 20_000
ERROR_PX = 2.0  # larger errors count by their logarithm: wrong matches must not decide
STEP = 0.05


def misfit(
    camera: CameraModel, seen: Observations, pixels: Array, T_map_cam: Array, scale: float
) -> float:
    """How badly points triangulated with a camera reproject: mean log(1 + (error / 2 px)^2).

    Args:
        camera: the calibration to check.
        seen: n observations with their tracks; their rays are computed anew with `camera`.
        pixels: (n, 2) [px], where in the image they are.
        T_map_cam: (N, 4, 4) [m], the poses of the images.
        scale: size of an image over the size that features were extracted at.
    """
    rays = replace(seen, rays=camera.rays(pixels))
    usable = np.asarray(np.isfinite(rays.rays).all(axis=1), dtype=np.bool_)
    _, error = triangulate(rays.where(usable), T_map_cam)
    errors_px = np.full(len(pixels), 100.0)
    errors_px[usable] = np.minimum(error * camera.focal_px / scale, 100.0)
    return float(np.mean(np.log1p((errors_px / ERROR_PX) ** 2)))


def refine_camera(
    camera: CameraModel,
    seen: Observations,
    pixels: NDArray[np.float32],
    T_map_cam: Array,
    *,
    scale: float = 1.0,
) -> CameraModel | None:
    """The camera under which a drive's observations fit its poses best, if `camera` does not fit.

    Fitted are one factor on both focal lengths and, where the camera claims to have no distortion,
    the first radial coefficient. These are wrong in a calibration file that was made up from a
    data sheet.

    Args:
        camera: the calibration to check.
        seen: n observations with their tracks.
        pixels: (n, 2) [px], where in the image they are.
        T_map_cam: (N, 4, 4) [m], the poses of the images.
        scale: see misfit.

    Returns:
        The refined camera. None if `camera` fits nearly as well, if there are fewer than
        MIN_OBSERVATIONS, or if the motion of the drive does not determine the camera.
    """
    if len(pixels) < MIN_OBSERVATIONS:
        return None
    few = _some_tracks(seen, MAX_OBSERVATIONS)
    seen, points = seen.where(few), pixels[few].astype(np.float64)
    fits_radial = camera.distortion_model == 'plumb_bob' and not np.any(camera.d)

    def changed(values: Array) -> CameraModel:
        K = camera.K.copy()
        K[[0, 1], [0, 1]] *= np.clip(values[0], *FOCAL_RANGE)
        d = camera.d
        if fits_radial:
            d = np.array([np.clip(values[1], *RADIAL_RANGE), 0.0, 0.0, 0.0, 0.0])
        return CameraModel.create(camera.width, camera.height, K, camera.distortion_model, d)

    def cost(values: Array) -> float:
        return misfit(changed(values), seen, points, T_map_cam, scale)

    start = np.array([1.0, 0.0] if fits_radial else [1.0])
    simplex = np.vstack([start, start + STEP * np.eye(len(start))])
    best = minimize(
        cost,
        start,
        method='Nelder-Mead',
        options={'initial_simplex': simplex, 'xatol': 1e-3, 'fatol': 1e-5, 'maxfev': 120},
    )
    if not best.fun < WORTHWHILE * cost(start):
        return None
    return changed(best.x)


def _some_tracks(seen: Observations, observations: int) -> NDArray[np.bool_]:
    """Whole tracks, drawn at random, with about this many observations in all: bool (n,)."""
    if len(seen.track) <= observations:
        return np.ones(len(seen.track), dtype=bool)
    share = observations / len(seen.track)
    drawn = np.random.default_rng(0).random(seen.tracks) < share
    return np.asarray(drawn[seen.track])
