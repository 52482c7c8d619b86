"""FrameStatistics: counts, latencies and the last error of a camera stream."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from netvlad_ros.core.decision.match import Match

WINDOW = 500  # frames over which percentiles of latencies are computed


@dataclass
class FrameStatistics:
    """Counts since activation; two threads write them.

    Attributes:
        received: Images that came.
        dropped: Images that were replaced by a newer one before they were processed.
        processed: Images that were answered.
        accepted: Answers with a prior.
        bad: Images that could not be used.
        unverified: Answers whose verification was skipped.
        last_bad: Why the last bad image could not be used.
        last_verification_note: What the last verification reported.
        last_elsewhere: The last probability of "elsewhere".
    """

    received: int = 0
    dropped: int = 0
    processed: int = 0
    accepted: int = 0
    bad: int = 0
    unverified: int = 0
    last_bad: str = ''
    last_verification_note: str = ''
    last_elsewhere: str = ''
    _bad_reported: int = 0
    _latency_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _processing_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _timings_ms: dict[str, deque[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_received(self, dropped: bool) -> None:
        """Count a received frame; dropped: it replaced one that was not processed."""
        with self._lock:
            self.received += 1
            self.dropped += dropped

    def count_bad(self, reason: str) -> None:
        """Count a frame that could not be used, and why."""
        with self._lock:
            self.bad += 1
            self.last_bad = reason

    def take_new_bad(self) -> int:
        """Number of bad frames since the last call."""
        with self._lock:
            new, self._bad_reported = self.bad - self._bad_reported, self.bad
            return new

    def count_processed(
        self, match: Match, *, accepted: bool, latency_ms: float, processing_ms: float
    ) -> None:
        """Count an answered frame.

        Args:
            match: The answer.
            accepted: Whether a prior was published.
            latency_ms: From the image's stamp to publication [ms].
            processing_ms: From reception to publication [ms].
        """
        note = match.verification.note if match.verification is not None else ''
        with self._lock:
            self.processed += 1
            self.accepted += accepted
            self.unverified += note.startswith('skipped')
            self.last_verification_note = note
            self.last_elsewhere = f'{match.elsewhere:.3f}'
            self._latency_ms.append(latency_ms)
            self._processing_ms.append(processing_ms)
            for stage, value in match.timings_ms.items():
                self._timings_ms.setdefault(stage, deque(maxlen=WINDOW)).append(value)

    def summary(self) -> dict[str, str]:
        """Counts and percentiles by the names that they have in diagnostics."""
        with self._lock:
            rows = {
                'images received': str(self.received),
                'images processed': str(self.processed),
                'images accepted': str(self.accepted),
                'images dropped': str(self.dropped),
                'images bad': str(self.bad),
                'last bad image': self.last_bad,
                'verifications skipped': str(self.unverified),
                'last verification': self.last_verification_note,
                'probability elsewhere': self.last_elsewhere,
            }
            inference_ms = self._timings_ms.get('describe', deque())
            for name, values in (
                ('latency stamp to prior', self._latency_ms),
                ('processing', self._processing_ms),
                ('inference', inference_ms),
                *((f'stage {stage}', self._timings_ms[stage]) for stage in self._timings_ms),
            ):
                for percent in (50, 99):
                    value = f'{np.percentile(values, percent):.2f}' if values else ''
                    rows[f'{name} p{percent} [ms]'] = value
            total = sum(self._processing_ms)
            rows['inference share'] = f'{sum(inference_ms) / total:.3f}' if total else ''
            return rows
