"""A pose as it stands in a file from elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import pose_matrix

LARGEST = 1e9  # metres; a hundred Earths, and its square still fits a double


def drive_pose(position_xyz: ArrayLike, quat_xyzw: ArrayLike) -> NDArray[np.float64]:
    """Build T (4, 4) from a position (3,) [m] and a unit quaternion (4,) of a recording.

    Raises NetvladError if a number is not finite or absurd, or the quaternion not of unit length.
    """
    numbers = np.concatenate([position_xyz, quat_xyzw]).astype(np.float64)
    if not np.isfinite(numbers).all():
        raise NetvladError('the pose is not finite')
    if np.abs(numbers).max() > LARGEST:
        raise NetvladError(f'the pose holds the number {np.abs(numbers).max():.3g}, no real place')
    return pose_matrix(position_xyz, quat_xyzw)
