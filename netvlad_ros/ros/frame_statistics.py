"""What happened to the frames: counts, latencies, the last trouble."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

import numpy as np

WINDOW = 500  # frames over which latencies are judged


@dataclass
class FrameStatistics:
    """Counts since activation. Written by two threads, hence the lock in each method."""

    received: int = 0
    dropped: int = 0
    processed: int = 0
    accepted: int = 0
    bad: int = 0
    bad_camera_info: int = 0
    time_jumps: int = 0
    last_bad: str = ''
    last_bad_camera_info: str = ''
    _bad_told: int = 0
    _latency_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _processing_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _describe_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_received(self, dropped: bool) -> None:
        """A frame came in; dropped: it replaced one that was never worked on."""
        with self._lock:
            self.received += 1
            self.dropped += dropped

    def count_bad(self, reason: str) -> None:
        """A frame could not be used."""
        with self._lock:
            self.bad += 1
            self.last_bad = reason

    def take_new_bad(self) -> int:
        """How many bad frames came since the last call."""
        with self._lock:
            new, self._bad_told = self.bad - self._bad_told, self.bad
            return new

    def count_bad_camera_info(self, reason: str) -> None:
        """A camera_info could not be used."""
        with self._lock:
            self.bad_camera_info += 1
            self.last_bad_camera_info = reason

    def count_time_jump(self) -> None:
        """Stamps went back."""
        with self._lock:
            self.time_jumps += 1

    def count_processed(
        self, *, accepted: bool, latency_ms: float, processing_ms: float, describe_ms: float
    ) -> None:
        """A frame was answered. latency: from image stamp, processing: from reception, both to
        publication.
        """
        with self._lock:
            self.processed += 1
            self.accepted += accepted
            self._latency_ms.append(latency_ms)
            self._processing_ms.append(processing_ms)
            self._describe_ms.append(describe_ms)

    def summary(self) -> dict[str, str]:
        """Counts and percentiles as diagnostics show them."""
        with self._lock:
            rows = {
                'images received': str(self.received),
                'images processed': str(self.processed),
                'images accepted': str(self.accepted),
                'images dropped': str(self.dropped),
                'images bad': str(self.bad),
                'last bad image': self.last_bad,
                'camera_info bad': str(self.bad_camera_info),
                'last bad camera_info': self.last_bad_camera_info,
                'time jumps back': str(self.time_jumps),
            }
            for name, values in (
                ('latency stamp to prior', self._latency_ms),
                ('processing', self._processing_ms),
                ('inference', self._describe_ms),
            ):
                for percent in (50, 99):
                    value = f'{np.percentile(values, percent):.2f}' if values else ''
                    rows[f'{name} p{percent} [ms]'] = value
            total = sum(self._processing_ms)
            rows['inference share'] = f'{sum(self._describe_ms) / total:.3f}' if total else ''
            return rows
