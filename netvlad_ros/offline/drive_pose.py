"""A pose as it stands in a file from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netvlad_ros.core.errors import NetvladError

LARGEST = 1e9  # metres; a hundred Earths, and its square still fits a double


def check_pose(numbers: Sequence[float]) -> None:
    """Raise NetvladError unless x, y, z [m], qx, qy, qz, qw can be the pose of something.

    Plain Python on purpose: a bag holds hundreds of poses for each image, most of them never used.
    """
    if not all(map(math.isfinite, numbers)):
        raise NetvladError('the pose is not finite')
    if max(map(abs, numbers)) > LARGEST:
        raise NetvladError(f'the pose holds the number {max(map(abs, numbers)):.3g}, no real place')
    length = math.hypot(*numbers[3:])
    if abs(length - 1.0) > 0.0099:  # a hair less than core.geometry.pose_matrix allows
        raise NetvladError(f'the quaternion has the length {length:.4g}, not 1')
