"""ProductQuantised: global descriptors as codes of a product quantizer."""

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
    """One byte for every 8 dimensions; queries are not quantized.

    Codebooks are learned from the database itself. With fewer than 512 images, codes are shorter.

    Source: Jegou, Douze and Schmid, PAMI 2011.
    """

    seed: int

    def index(self, database: list[Vector]) -> Index:
        """Quantize the database.

        Raises:
            NetvladError: it is too small to learn codebooks from.
        """
        return CodeIndex(np.array(database, np.float32), self.seed)


class CodeIndex:
    """Codes, compared with unquantized queries by tables of dot products."""

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
