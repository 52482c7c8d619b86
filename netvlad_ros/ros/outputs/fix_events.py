"""When an accepted match is an event: the first fix, or one after being lost or carried off."""

from __future__ import annotations

import math
from dataclasses import dataclass

SIGMAS = 3.0  # by which each of two positions may be off


@dataclass(frozen=True)
class Fix:
    """Where the robot was found: position x, y, z [m] and its largest standard deviation [m]."""

    stamp_ns: int
    position: tuple[float, float, float]
    sigma_m: float

    def can_follow(self, before: Fix, max_speed_mps: float) -> bool:
        """Whether a robot of such speed [m/s] can have been at both."""
        reach_m = max_speed_mps * abs(self.stamp_ns - before.stamp_ns) / 1e9
        reach_m += SIGMAS * (self.sigma_m + before.sigma_m)
        return math.dist(self.position, before.position) <= reach_m


class FixEvents:
    """Decides which priors also go to initial_pose. Every message there re-initialises AMCL, so a
    prior is an event only at the first fix after start or reset, at the first after being lost, and
    where the robot turns out to have been carried off: two fixes that can follow each other, but
    not the one before. A single such fix may be a wrong match, and is none.
    """

    def __init__(self) -> None:
        self._pending = True
        self._last_ns: int | None = None  # stamp of the last fix, wherever
        self._last: Fix | None = None
        self._elsewhere: Fix | None = None  # one that cannot follow the last
        self._last_stamp_ns: dict[str, int] = {}

    def step_s(self, camera: str, stamp_ns: int) -> float:
        """Note an image's stamp; seconds since that camera's one before, 0 of its first.

        Each camera has a time of its own: a slow machine answers one long after the other.
        """
        last = self._last_stamp_ns.get(camera, stamp_ns)
        self._last_stamp_ns[camera] = stamp_ns
        return (stamp_ns - last) / 1e9

    def is_event(self, fix: Fix, lost_after_s: float, max_speed_mps: float) -> bool:
        """Note a fix; True if it is an event that nobody has been told of yet."""
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

    def told(self) -> None:
        """The event was published to somebody; until then every fix is one."""
        self._pending = False
