"""PooledSimilarity: similarities of all queries and places, reduced to a picture on the fly."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIDE = 800
_BATCH = 32


class PooledSimilarity:
    """Cosine similarities of queries (rows) and places (columns), the largest of each block.

    A match is a single point of the matrix: a mean would hide it, the largest value keeps it.
    Memory is one picture and a few rows for any number of queries.
    """

    def __init__(self, descriptors: NDArray[np.float32], queries: int) -> None:
        """Prepare an empty picture.

        Args:
            descriptors: float32 (N, D), unit rows, of the places.
            queries: the largest number of queries.
        """
        self.places = len(descriptors)
        self.queries = 0
        self._descriptors = descriptors
        self._rows_each = max(1, math.ceil(queries / SIDE))
        self._starts = np.arange(0, self.places, max(1, math.ceil(self.places / SIDE)))
        rows = max(1, math.ceil(queries / self._rows_each))
        self._largest = np.full((rows, len(self._starts)), -np.inf, dtype=np.float32)
        self._waiting: list[NDArray[np.float32]] = []

    def add(self, descriptor: ArrayLike) -> None:
        """Add the next query, float32 (D,)."""
        self._waiting.append(np.asarray(descriptor, dtype=np.float32))
        if len(self._waiting) == _BATCH:
            self._flush()

    def matrix(self) -> NDArray[np.float32]:
        """Largest similarities so far, float32 (rows, columns), each at most SIDE."""
        self._flush()
        return self._largest[: math.ceil(self.queries / self._rows_each)]

    def _flush(self) -> None:
        if not self._waiting:
            return
        similarity = np.stack(self._waiting) @ self._descriptors.T
        for pooled in np.maximum.reduceat(similarity, self._starts, axis=1):
            row = self._largest[self.queries // self._rows_each]
            np.maximum(row, pooled, out=row)
            self.queries += 1
        self._waiting.clear()
