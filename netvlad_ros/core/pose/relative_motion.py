"""RelativeMotion of two calibrated cameras: its refinement, and rotation alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.core.geometry import Array, cross_matrix
from netvlad_ros.core.pose.huber import huber_weights

ITERATIONS = 8


@dataclass(frozen=True)
class RelativeMotion:
    """Motion from camera a to camera b, up to the length of the translation.

    Attributes:
        R: (3, 3), X_b = R X_a + s direction with an unknown s > 0.
        direction: (3,), of unit length, in the frame of camera b.
        sigma_deg: standard deviation of the direction in the worst plane [deg]; infinite where the
            matches do not determine it.
    """

    R: Array
    direction: Array
    sigma_deg: float


def refine_motion(
    rays_a: Array, rays_b: Array, R_b_a: Array, t_b_a: Array, max_tangent: float
) -> RelativeMotion:
    """Refine a motion by Gauss-Newton on Sampson distances with Cauchy's weights.

    Args:
        rays_a: (m, 2), rays x/z, y/z of camera a.
        rays_b: (m, 2), the matched rays of camera b.
        R_b_a: (3, 3), rotation to start from.
        t_b_a: (3,), translation to start from, of any length.
        max_tangent: largest error of an inlier, as the tangent of an angle.

    Source:
        Hartley and Zisserman, Multiple View Geometry, 2nd ed., equation 11.9.
    """
    a, b = _homogeneous(rays_a), _homogeneous(rays_b)
    R, t = R_b_a, t_b_a / np.linalg.norm(t_b_a)
    step = 1e-6
    for _ in range(ITERATIONS):
        across = np.linalg.svd(t[np.newaxis])[2][1:]  # the two directions that turn t
        residual = sampson_distance(a, b, essential_matrix(R, t))
        jacobian = np.empty((len(a), 5))
        for k in range(5):
            moved = _moved(R, t, across, step * np.eye(5)[k])
            jacobian[:, k] = (sampson_distance(a, b, essential_matrix(*moved)) - residual) / step
        weights = 1.0 / (1.0 + (residual * 3.0 / max_tangent) ** 2)
        # A wrong match that lies on its line by chance looks very near: its weight is reduced.
        lever = np.linalg.norm(jacobian[:, 3:], axis=1)
        usual = 2.0 * float(np.median(lever)) + 1e-12
        weights = weights * huber_weights(lever, usual) ** 2
        normal = (jacobian * weights[:, np.newaxis]).T @ jacobian
        damping = 1e-6 * np.diag(np.diag(normal)) + 1e-12 * np.eye(5)
        change = -np.linalg.solve(normal + damping, jacobian.T @ (weights * residual))
        # Where the residuals hardly depend on a direction, a step could become very long.
        change = np.clip(change, -0.2, 0.2)
        R, t = _moved(R, t, across, change)
        if np.abs(change).max() < 1e-7:
            break
    rms = float(np.sqrt((weights * residual**2).sum() / weights.sum()))
    sigma = max(rms, max_tangent / 4)  # such limits are three to four sigma
    of_direction = np.linalg.inv(normal + 1e-12 * np.eye(5))[3:, 3:]
    worst = max(float(np.linalg.eigvalsh(of_direction)[-1]), 0.0)
    return RelativeMotion(R, t, float(np.degrees(sigma * np.sqrt(worst))))


def essential_matrix(R_b_a: Array, t_b_a: Array) -> Array:
    """Essential matrices (..., 3, 3) of rotations (..., 3, 3) and translations (..., 3)."""
    return np.asarray(cross_matrix(t_b_a) @ R_b_a)


def sampson_distance(rays_a: Array, rays_b: Array, essential: Array) -> Array:
    """Signed Sampson distance of matched rays to an epipolar geometry.

    Args:
        rays_a: (m, 3), rays x/z, y/z, 1 of camera a.
        rays_b: (m, 3), the matched rays of camera b.
        essential: (3, 3), or (m, 3, 3) with one matrix a match: see essential_matrix.

    Returns:
        (m,), as the tangent of an angle: times the focal length it is pixels.

    Source:
        Hartley and Zisserman, Multiple View Geometry, 2nd ed., equation 11.9.
    """
    if essential.ndim == 2:
        line_b, line_a = rays_a @ essential.T, rays_b @ essential
    else:
        line_b = np.einsum('mij,mj->mi', essential, rays_a)
        line_a = np.einsum('mij,mi->mj', essential, rays_b)
    slope = (line_b[:, :2] ** 2).sum(axis=1) + (line_a[:, :2] ** 2).sum(axis=1)
    return np.asarray((rays_b * line_b).sum(axis=1) / np.sqrt(np.maximum(slope, 1e-24)))


def rotation_between(rays_a: Array, rays_b: Array) -> Array:
    """R_b_a (3, 3) that turns rays (m, 2) of camera a into those of camera b, without parallax.

    Kabsch's solution, reweighted so that it minimises distances, not their squares.
    """
    a, b = _unit(_homogeneous(rays_a)), _unit(_homogeneous(rays_b))
    weights = np.ones(len(a))
    for _ in range(5):
        u, _, vt = np.linalg.svd((b * weights[:, np.newaxis]).T @ a)
        R = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
        error = np.linalg.norm(a @ R.T - b, axis=1)
        weights = 1.0 / np.maximum(error, 1e-2 * float(np.median(error)) + 1e-9)
    return np.asarray(R)


def turned_by(rays_a: Array, rays_b: Array, R_b_a: Array, max_tangent: float) -> NDArray[np.bool_]:
    """Whether a rotation alone turns each ray (m, 2) into its match within max_tangent; (m,)."""
    turned = _homogeneous(rays_a) @ R_b_a.T
    with np.errstate(divide='ignore', invalid='ignore'):
        offset = turned[:, :2] / turned[:, 2:] - rays_b
    return np.asarray(np.hypot(*offset.T) <= max_tangent)


def _moved(R: Array, t: Array, across: Array, change: Array) -> tuple[Array, Array]:
    t = t + change[3:] @ across
    return Rotation.from_rotvec(change[:3]).as_matrix() @ R, t / np.linalg.norm(t)


def _homogeneous(rays: Array) -> Array:
    return np.column_stack([rays, np.ones(len(rays))])


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
