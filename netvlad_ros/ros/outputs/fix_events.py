"""FixEvents: which accepted matches are also published on initial_pose."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netvlad_ros.core.pose.prior import PosePrior

SIGMAS = 3.0  # largest error of each of two positions, in standard deviations


@dataclass(frozen=True)
class Fix:
    """A position at which the robot was localized.

    Attributes:
        stamp_ns: Stamp of the image [ns].
        position: x, y, z in the map frame [m].
        sigma_m: The largest of the three standard deviations [m].
    """

    stamp_ns: int
    position: tuple[float, float, float]
    sigma_m: float

    @classmethod
    def of_prior(cls, stamp_ns: int, prior: PosePrior) -> Fix:
        """The fix of a pose prior at a stamp [ns]."""
        x, y, z = prior.T[:3, 3].tolist()
        sigma_m = math.sqrt(max(prior.covariance.diagonal()[:3].tolist()))
        return cls(stamp_ns, (x, y, z), sigma_m)

    def can_follow(self, before: Fix, max_speed_mps: float) -> bool:
        """Whether a robot of such speed [m/s] can have been at both."""
        reach_m = max_speed_mps * abs(self.stamp_ns - before.stamp_ns) / 1e9
        reach_m += SIGMAS * (self.sigma_m + before.sigma_m)
        return math.dist(self.position, before.position) <= reach_m


class FixEvents:
    """Decides which priors are also published on initial_pose.

    Every message on initial_pose re-initialises AMCL. A prior is therefore an event in three cases:

    - It is the first fix after start or reset.
    - It is the first fix after the robot was lost.
    - The robot was kidnapped: this fix and the one before can follow each other, but neither can
      follow the fixes before them. A single such fix may be a wrong match and is no event.
    """

    def __init__(self) -> None:
        self._pending = True
        self._last_ns: int | None = None  # stamp of the last fix, at any position
        self._last: Fix | None = None
        self._elsewhere: Fix | None = None  # one that cannot follow the last
        self._last_stamp_ns: dict[str, int] = {}

    def step_s(self, camera: str, stamp_ns: int) -> float:
        """Note the stamp of an image.

        Each camera has its own sequence of stamps, because a slow machine may answer images of
        several cameras out of order.

        Args:
            camera: Name of the camera.
            stamp_ns: Stamp of the image [ns].

        Returns:
            Seconds since the camera's previous image; 0 for its first image.
        """
        last = self._last_stamp_ns.get(camera, stamp_ns)
        self._last_stamp_ns[camera] = stamp_ns
        return (stamp_ns - last) / 1e9

    def is_event(self, fix: Fix, lost_after_s: float, max_speed_mps: float) -> bool:
        """Note a fix.

        Args:
            fix: The fix.
            lost_after_s: Without a fix for longer than this, the robot is lost [s].
            max_speed_mps: Largest speed of the robot [m/s].

        Returns:
            Whether the fix is an event, or an earlier event has not been published yet.
        """
        last_ns, self._last_ns = self._last_ns, fix.stamp_ns
        elsewhere, self._elsewhere = self._elsewhere, None
        is_lost = last_ns is not None and fix.stamp_ns - last_ns > lost_after_s * 1e9
        if self._last is not None and not is_lost and not fix.can_follow(self._last, max_speed_mps):
            if elsewhere is None or not fix.can_follow(elsewhere, max_speed_mps):
                self._elsewhere = fix
                return False
            is_lost = True
        self._last = fix
        self._pending |= is_lost
        return self._pending

    def published(self) -> None:
        """Note that the event was published to a subscriber; until then every fix is an event."""
        self._pending = False
