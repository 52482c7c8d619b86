"""When an accepted match is an event: the first fix, or one after being lost."""

from __future__ import annotations


class FixEvents:
    """Decides which priors also go to initial_pose. Every message there re-initialises AMCL, so a
    prior is an event only at the first fix after start or reset and at the first after being lost.
    """

    def __init__(self) -> None:
        self._pending = True
        self._last_fix_ns: int | None = None
        self._last_stamp_ns: dict[str, int] = {}

    def step_s(self, camera: str, stamp_ns: int) -> float:
        """Note an image's stamp; seconds since that camera's one before, 0 of its first.

        Each camera has a time of its own: a slow machine answers one long after the other.
        """
        last = self._last_stamp_ns.get(camera, stamp_ns)
        self._last_stamp_ns[camera] = stamp_ns
        return (stamp_ns - last) / 1e9

    def is_event(self, stamp_ns: int, lost_after_s: float) -> bool:
        """Note a fix; True if it is an event that nobody has been told of yet."""
        last, self._last_fix_ns = self._last_fix_ns, stamp_ns
        if last is not None and stamp_ns - last > lost_after_s * 1e9:
            self._pending = True
        return self._pending

    def told(self) -> None:
        """The event was published to somebody; until then every fix is one."""
        self._pending = False
