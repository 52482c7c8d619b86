"""Global descriptors in a fraction of their bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.methods.recipe import Index, OtherIndex, Vector

PART = 8  # dimensions of a part
MAX_BITS = 8  # of a part's code
PER_CENTRE = 2  # vectors that a centre needs at least


@dataclass
class ProductQuantised(OtherIndex):
    """Jegou, Douze and Schmid, PAMI 2011: a byte for every 8 dimensions, queries kept whole.

    Codebooks are learned from the database itself; one of fewer than 512 images gets shorter codes.
    """

    seed: int

    def index(self, database: list[Vector]) -> Index:
        """Codes of the database. Raises NetvladError where it is too small to learn any."""
        return CodeIndex(np.array(database, np.float32), self.seed)


class CodeIndex:
    """Codes, compared with whole queries by tables of dot products."""

    def __init__(self, vectors: Vector, seed: int) -> None:
        count, dim = vectors.shape
        bits = min(MAX_BITS, int(np.log2(max(count // PER_CENTRE, 1))))
        if bits < 1:
            raise NetvladError(f'{count} images are too few to learn a product quantiser from')
        part = next(size for size in range(PART, 0, -1) if dim % size == 0)
        self._index = faiss.IndexPQ(dim, dim // part, bits, faiss.METRIC_INNER_PRODUCT)
        self._index.pq.cp.seed = seed
        self._index.pq.cp.min_points_per_centroid = 1
        self._index.train(vectors)
        self._index.add(vectors)
        self.bytes_per_place = float(self._index.pq.code_size)

    def rows(self, queries: list[Vector]) -> Iterable[NDArray[Any]]:
        """Yield dot products with the decoded database."""
        for query in queries:
            found, rows = self._index.search(query[np.newaxis], self._index.ntotal)
            similarity = np.empty(self._index.ntotal, np.float32)
            similarity[rows[0]] = found[0]
            yield similarity
