"""OdometryTrack: the last half minute of odometry, interpolated at the stamp of an image."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, check_pose, interpolate, pose_matrix

KEEP_S = 30.0
MAX_POSES = 12_000  # 400 Hz for as long
MAX_GAP_S = 0.5  # no interpolation between poses further apart than this
MAX_LEAD_S = 0.2  # longest extrapolation, for images that come before their odometry
PACE_S = 0.1  # extrapolation uses the motion over this time; shorter differences are noise
# Above these limits, odometry was reset: no robot moves so fast.
MAX_SPEED_MPS, MAX_TURN_DPS = 100.0, 2000.0
MIN_LEAP_M, MIN_LEAP_DEG = 0.5, 20.0

Stamped = tuple[int, Sequence[float]]


class OdometryTrack:
    """Poses T_odom_child in order of time, bounded in number and in time.

    Attributes:
        bad: Number of poses that were invalid and ignored.
        last_bad: Why the last of them was invalid.
        breaks: Number of jumps of the odometry. Poses before and after a jump do not determine the
            motion between them.
    """

    def __init__(self, time_jump_s: float = 1.0) -> None:
        self.bad = 0
        self.breaks = 0
        self.last_bad = ''
        self._time_jump_ns = int(time_jump_s * 1e9)
        self._poses: deque[Stamped] = deque(maxlen=MAX_POSES)

    def __len__(self) -> int:
        """Count the poses kept."""
        return len(self._poses)

    def add(self, stamp_ns: int, numbers: Sequence[float]) -> None:
        """Append a pose.

        An invalid pose is counted and ignored. A late pose is ignored without being counted: its
        neighbours already cover its time.

        Args:
            stamp_ns: Stamp of the pose [ns].
            numbers: x, y, z [m], qx, qy, qz, qw.
        """
        try:
            check_pose(numbers)
        except NetvladError as error:
            self.bad += 1
            self.last_bad = str(error)
            return
        if self._poses:
            step_ns = stamp_ns - self._poses[-1][0]
            if -self._time_jump_ns <= step_ns <= 0:
                return
            if not 0 < step_ns <= MAX_GAP_S * 1e9 or _leaps(self._poses[-1], numbers, step_ns):
                self.cut()
        self._poses.append((stamp_ns, numbers))
        while stamp_ns - self._poses[0][0] > KEEP_S * 1e9:
            self._poses.popleft()

    def cut(self) -> None:
        """Forget all poses, because the odometry jumped."""
        if self._poses:
            self.breaks += 1
            self._poses.clear()

    def at(self, stamp_ns: int) -> Array | None:
        """T_odom_child (4, 4) at a stamp [ns], or None if it is not known.

        The pose is interpolated between two poses that are at most MAX_GAP_S apart. Odometry may
        come later than the image: up to MAX_LEAD_S after the newest pose, it is extrapolated with
        the motion of the last PACE_S.
        """
        after: Stamped | None = None
        for pose in reversed(self._poses):
            if pose[0] <= stamp_ns:
                return self._between(pose, after, stamp_ns)
            after = pose
        return None

    def _between(self, before: Stamped, after: Stamped | None, stamp_ns: int) -> Array | None:
        if before[0] == stamp_ns:
            return _matrix(before)
        if after is not None:
            return _interpolated(before, after, stamp_ns)
        if stamp_ns - before[0] > MAX_LEAD_S * 1e9:
            return None
        for pose in reversed(self._poses):
            if before[0] - pose[0] >= PACE_S * 1e9:
                return _interpolated(pose, before, stamp_ns)
        return _matrix(before)


def _leaps(before: Stamped, numbers: Sequence[float], step_ns: int) -> bool:
    """Whether the motion from one pose to the next is faster than any robot's."""
    moved_m = math.dist(before[1][:3], numbers[:3])
    cosine = abs(sum(a * b for a, b in zip(before[1][3:], numbers[3:], strict=True)))
    turned_deg = math.degrees(2.0 * math.acos(min(cosine, 1.0)))
    return (moved_m > MIN_LEAP_M and moved_m > MAX_SPEED_MPS * step_ns / 1e9) or (
        turned_deg > MIN_LEAP_DEG and turned_deg > MAX_TURN_DPS * step_ns / 1e9
    )


def _interpolated(before: Stamped, after: Stamped, stamp_ns: int) -> Array:
    share = (stamp_ns - before[0]) / (after[0] - before[0])
    return interpolate(_matrix(before), _matrix(after), share)


def _matrix(pose: Stamped) -> Array:
    return pose_matrix(np.array(pose[1][:3]), np.array(pose[1][3:]))
