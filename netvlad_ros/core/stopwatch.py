"""Stopwatch: how long the stages of one image took."""

from __future__ import annotations

import time


class Stopwatch:
    """Measures successive stages; it starts when it is made."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self.timings_ms: dict[str, float] = {}  # stage -> [ms], summed over its laps

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to a stage."""
        now = time.perf_counter()
        self.timings_ms[stage] = self.timings_ms.get(stage, 0.0) + 1e3 * (now - self._last)
        self._last = now

    def elapsed_ms(self) -> float:
        """Time since the start [ms]."""
        return 1e3 * (time.perf_counter() - self._started)
