"""DescriptorCache: the descriptors of one round of mining, within a given memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError

Describe = Callable[[NDArray[np.int64]], NDArray[np.float32]]
DESCRIBED_AT_ONCE = 512  # images; 64 MB of the paper's 32768 dimensions
BLOCK_BYTES = 2**26  # of float32 rows that one matrix product reads


class DescriptorCache:
    """Descriptors of some images, computed once.

    They are kept as float32 if that fits into cache_mb, else as float16. Float16 changes a
    similarity by about 1e-5. If float16 does not fit either, it goes to an unlinked temporary file
    in TMPDIR, which disappears with the cache.

    Args:
        describe: indices (M,) int64 -> descriptors (M, D) float32.
        images: (M,) int64, sorted, each once.
        cache_mb: memory [MiB].

    Raises:
        NetvladError: descriptors that are not finite or of the wrong shape; the disk is full.
    """

    def __init__(self, describe: Describe, images: NDArray[np.int64], cache_mb: int) -> None:
        self._images = images
        self._rows: NDArray[np.floating] = np.empty((0, 0), np.float32)
        for start in range(0, len(images), DESCRIBED_AT_ONCE):
            part = images[start : start + DESCRIBED_AT_ONCE]
            described = describe(part)
            if described.ndim != 2 or len(described) != len(part):
                raise NetvladError(
                    f'mining asked for {len(part)} descriptors and got the shape {described.shape}'
                )
            if not np.isfinite(described).all():
                raise NetvladError(
                    'mining met a descriptor that is not finite: training has diverged; go back '
                    'to the last good checkpoint and lower the learning rates'
                )
            if start == 0:
                self._rows = _storage(len(images), described.shape[1], cache_mb)
            self._rows[start : start + len(part)] = described

    def similarities(
        self, queries: NDArray[np.int64], candidates: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Inner products of images in the cache, float32 (Q, C), computed block by block."""
        left = self._float(self._positions(queries))
        right = self._positions(candidates)
        found = np.empty((len(left), len(right)), dtype=np.float32)
        step = max(BLOCK_BYTES // (4 * self._rows.shape[1]), 1)
        for start in range(0, len(right), step):
            block = self._float(right[start : start + step])
            np.matmul(left, block.T, out=found[:, start : start + step])
        return found

    def _positions(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self._images, images)

    def _float(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        # Consecutive rows are read as a slice, without the copy that an index array costs.
        ends = positions[[0, -1]] if len(positions) else np.zeros(2, dtype=np.int64)
        if len(positions) and ends[1] - ends[0] + 1 == len(positions):
            rows = self._rows[ends[0] : ends[1] + 1]
        else:
            rows = self._rows[positions]
        return rows.astype(np.float32, copy=False)


def _storage(count: int, dim: int, cache_mb: int) -> NDArray[np.floating]:
    limit = cache_mb * 2**20
    if 4 * count * dim <= limit:
        return np.empty((count, dim), dtype=np.float32)
    if 2 * count * dim <= limit:
        return np.empty((count, dim), dtype=np.float16)
    with tempfile.TemporaryFile() as file:
        try:
            # In a file with holes, a full disk would kill the process instead of failing the write.
            os.posix_fallocate(file.fileno(), 0, 2 * count * dim)
        except OSError as error:
            raise NetvladError(
                f'{count} descriptors of {dim} dimensions need {2 * count * dim >> 20} MiB in '
                f'{tempfile.gettempdir()}: {error.strerror}; free space, set TMPDIR, raise '
                'cache_mb or mine partially'
            ) from error
        return np.memmap(file, dtype=np.float16, mode='r+', shape=(count, dim))
