"""When an accepted match is an event: the first fix, or one after being lost."""

from __future__ import annotations


class FixEvents:
    """Decides which priors also go to initial_pose. Every message there re-initialises AMCL, so a
    prior is an event only at the first fix after start or reset and at the first after being lost.
    """

    def __init__(self) -> None:
        self._pending = True
        self._last_fix_ns: int | None = None
        self._last_stamp_ns: int | None = None

    def went_back(self, stamp_ns: int, tolerance_s: float) -> bool:
        """Note an image's stamp; True if time went back by more: a new run, all is forgotten."""
        last, self._last_stamp_ns = self._last_stamp_ns, stamp_ns
        if last is None or stamp_ns >= last - tolerance_s * 1e9:
            return False
        self._pending, self._last_fix_ns = True, None
        return True

    def is_event(self, stamp_ns: int, lost_after_s: float) -> bool:
        """Note a fix; True if it is an event that nobody has been told of yet."""
        last, self._last_fix_ns = self._last_fix_ns, stamp_ns
        if last is not None and stamp_ns - last > lost_after_s * 1e9:
            self._pending = True
        return self._pending

    def told(self) -> None:
        """The event was published to somebody; until then every fix is one."""
        self._pending = False
