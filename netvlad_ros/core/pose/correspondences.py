"""Correspondences: keypoints of an image matched to landmarks of the map."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.geometry import Array, cross_matrix


@dataclass(frozen=True)
class Correspondences:
    """n keypoints of an image, each matched to a landmark of the map.

    Attributes:
        camera: the camera of the image.
        pixels: (n, 2), keypoints [px].
        rays: (n, 2), undistorted x/z and y/z of the keypoints.
        px_per_ray: (n, 2, 2), derivative of pixels by rays at each keypoint; it turns errors of
            rays into pixels for every lens.
        points: (n, 3), landmarks [m], in the map frame.
        keypoint: int64 (n,), number of the keypoint; wrong matches repeat numbers.
        landmark: int64 (n,), number of the landmark; wrong matches repeat numbers.
    """

    camera: CameraModel
    pixels: Array
    rays: Array
    px_per_ray: Array
    points: Array
    keypoint: NDArray[np.int64]
    landmark: NDArray[np.int64]

    @classmethod
    def create(
        cls,
        camera: CameraModel,
        pixels: NDArray[np.floating],
        points: NDArray[np.floating],
        keypoint: NDArray[np.int64],
        landmark: NDArray[np.int64],
    ) -> Correspondences:
        """Undistort the pixels; those that the lens model cannot invert are left out.

        Args:
            camera: the camera of the image.
            pixels: (n, 2), keypoints [px].
            points: (n, 3), landmarks [m], in the map frame.
            keypoint: int64 (n,), number of each keypoint.
            landmark: int64 (n,), number of each landmark.
        """
        at_px: Array = np.asarray(pixels, dtype=np.float64)
        step = 0.5
        at, right, below = (
            camera.rays(at_px + offset) for offset in ((0, 0), (step, 0), (0, step))
        )
        ray_per_px = np.stack([right - at, below - at], axis=2) / step
        determinant = ray_per_px[:, 0, 0] * ray_per_px[:, 1, 1]
        determinant = determinant - ray_per_px[:, 0, 1] * ray_per_px[:, 1, 0]
        usable = np.isfinite(ray_per_px).all(axis=(1, 2)) & (np.abs(determinant) > 1e-16)
        return cls(
            camera=camera,
            pixels=at_px[usable],
            rays=at[usable],
            px_per_ray=np.asarray(np.linalg.inv(ray_per_px[usable]), dtype=np.float64),
            points=np.asarray(points, dtype=np.float64)[usable],
            keypoint=keypoint[usable],
            landmark=landmark[usable],
        )

    def where(self, mask: NDArray[np.bool_]) -> Correspondences:
        """The correspondences in a mask (n,)."""
        return replace(
            self,
            pixels=self.pixels[mask],
            rays=self.rays[mask],
            px_per_ray=self.px_per_ray[mask],
            points=self.points[mask],
            keypoint=self.keypoint[mask],
            landmark=self.landmark[mask],
        )

    def error_px(self, T_map_cam: Array) -> Array:
        """Reprojection error (n,) [px] for a camera at T_map_cam; infinite behind the camera."""
        points_cam = (self.points - T_map_cam[:3, 3]) @ T_map_cam[:3, :3]
        in_front = points_cam[:, 2] > 1e-6
        depth = np.where(in_front, points_cam[:, 2], 1.0)
        offset = points_cam[:, :2] / depth[:, np.newaxis] - self.rays
        error = np.linalg.norm((self.px_per_ray @ offset[:, :, np.newaxis])[:, :, 0], axis=1)
        return np.where(in_front, error, np.inf)

    def inliers(self, T_map_cam: Array, max_px: float) -> NDArray[np.bool_]:
        """Distinct correspondences, bool (n,), within max_px [px] for a camera at T_map_cam."""
        error = self.error_px(T_map_cam)
        return self.distinct(error <= max_px, error)

    def distinct(self, mask: NDArray[np.bool_], error: Array | None = None) -> NDArray[np.bool_]:
        """Select correspondences so that each keypoint and each landmark occurs once.

        Args:
            mask: bool (n,), the correspondences to select from.
            error: (n,), those with the smallest error remain; None: the first ones.

        Returns:
            bool (n,).
        """
        return distinct(self.keypoint, self.landmark, mask, error)

    def linearize(self, T_map_cam: Array, mask: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Linearize the reprojection of the m correspondences in a mask (n,).

        Returns:
            Residuals (m, 2) [px], and their derivatives (m, 2, 6) by x, y, z [m] of the camera and
            by rotations about the map's axes [rad].
        """
        R = T_map_cam[:3, :3]
        offset = self.points[mask] - T_map_cam[:3, 3]
        x, y, z = (offset @ R).T
        z = np.where(np.abs(z) < 1e-9, 1e-9, z)
        residual = np.stack([x / z, y / z], axis=1) - self.rays[mask]
        by_point = np.zeros((len(z), 2, 3))
        by_point[:, 0, 0] = by_point[:, 1, 1] = 1 / z
        by_point[:, 0, 2], by_point[:, 1, 2] = -x / z**2, -y / z**2
        # X_cam = R^T exp(-w) (X - c): by c it is -R^T, by w it is R^T [X - c]_x.
        by_position = -np.broadcast_to(R.T, (len(z), 3, 3))
        by_pose = np.concatenate([by_position, R.T @ cross_matrix(offset)], axis=2)
        scale = self.px_per_ray[mask]
        return (scale @ residual[:, :, np.newaxis])[:, :, 0], scale @ (by_point @ by_pose)


def distinct(
    keypoint: NDArray[np.int64],
    landmark: NDArray[np.int64],
    mask: NDArray[np.bool_],
    error: Array | None = None,
) -> NDArray[np.bool_]:
    """Pairs, bool (n,), of keypoint and landmark in which each number occurs once.

    Args:
        keypoint: int64 (n,), number of each keypoint.
        landmark: int64 (n,), number of each landmark.
        mask: bool (n,), the pairs to select from.
        error: (n,), those with the smallest error remain; None: the first ones.
    """
    rows = np.flatnonzero(mask)
    if error is not None:
        rows = rows[np.argsort(error[rows], kind='stable')]
    kept = np.zeros(len(mask), dtype=bool)
    kept[rows] = _first_of(keypoint[rows]) & _first_of(landmark[rows])
    return kept


def _first_of(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    first = np.zeros(len(values), dtype=bool)
    first[np.unique(values, return_index=True)[1]] = True
    return first
