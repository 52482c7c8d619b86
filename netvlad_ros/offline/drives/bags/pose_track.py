"""PoseTrack: the pose of one frame over time, interpolated between recorded stamps."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import interpolate, pose_matrix

MAX_DISORDER_NS = 10**9  # messages overtake each other by less; more is a second run in one bag


class PoseTrack:
    """Poses with stamps, 64 bytes each: hours of odometry fit in memory."""

    def __init__(self, name: str) -> None:
        """name: says in errors whose poses these are."""
        self.name = name
        self._stamps_ns = array('q')
        self._vectors = array('d')
        self._sorted: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None

    def add(self, stamp_ns: int, numbers: Sequence[float]) -> None:
        """Append the pose x, y, z [m], qx, qy, qz, qw at a stamp; the caller has checked it."""
        self._stamps_ns.append(stamp_ns)
        self._vectors.extend(numbers)
        self._sorted = None

    def __len__(self) -> int:
        """Count the recorded poses."""
        return len(self._stamps_ns)

    def span_ns(self) -> tuple[int, int]:
        """First and last stamp [ns]."""
        stamps_ns, _ = self._ordered()
        return int(stamps_ns[0]), int(stamps_ns[-1])

    def at(self, stamp_ns: int, tolerance_ns: int) -> NDArray[np.float64] | None:
        """Interpolate the pose at a stamp: linear in position, along the great arc in rotation.

        Args:
            stamp_ns: the stamp [ns].
            tolerance_ns: longest gap [ns] between two poses to interpolate in.

        Returns:
            (4, 4), or None before the first pose, after the last, and inside a longer gap: poses
            are never extrapolated.

        Raises:
            NetvladError: time jumps back between the recorded poses.
        """
        stamps_ns, vectors = self._ordered()
        after = int(np.searchsorted(stamps_ns, stamp_ns, side='left'))
        if after == len(stamps_ns):
            return None
        if stamps_ns[after] == stamp_ns:
            return _matrix(vectors[after])
        if after == 0:
            return None
        gap_ns = int(stamps_ns[after] - stamps_ns[after - 1])
        if gap_ns > tolerance_ns:
            return None
        alpha = (stamp_ns - int(stamps_ns[after - 1])) / gap_ns
        return interpolate(_matrix(vectors[after - 1]), _matrix(vectors[after]), alpha)

    def _ordered(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if self._sorted is None:
            stamps_ns = np.array(self._stamps_ns, dtype=np.int64)
            vectors = np.array(self._vectors, dtype=np.float64).reshape(-1, 7)
            if len(stamps_ns):
                behind = np.maximum.accumulate(stamps_ns) - stamps_ns
                worst = int(behind.argmax())
                if behind[worst] > MAX_DISORDER_NS:
                    raise NetvladError(
                        f'{self.name}: time jumps back by {behind[worst] / 1e9:.3f} s at pose '
                        f'{worst + 1} of {len(stamps_ns)}; record one run to a bag'
                    )
            # Of several poses with one stamp the last received one counts, as in tf2's buffer.
            order = np.argsort(stamps_ns, kind='stable')
            last = np.append(np.diff(stamps_ns[order]) > 0, True)[: len(order)]
            self._sorted = stamps_ns[order][last], vectors[order][last]
        return self._sorted


def _matrix(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return pose_matrix(vector[:3], vector[3:])
