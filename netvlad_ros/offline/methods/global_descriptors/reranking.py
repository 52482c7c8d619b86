"""Query expansion and k-reciprocal reranking of global descriptors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from netvlad_ros.offline.methods.recipe import CosineIndex, Index, OtherIndex, Vector, unit

# Query expansion.
NEIGHBOURS = 5  # added to the query
ALPHA = 3.0  # power of a neighbour's cosine that is its weight
# k-reciprocal encoding.
K1, K2 = 20, 6  # neighbours that must be mutual; neighbours whose sets are averaged
OF_DISTANCE = 0.3  # share of the plain distance in the final one
SHARED = 2 / 3  # share of a neighbour's set that must be mutual, so that the set is added
POSTING_BYTES = 8  # of an entry of a set: index and weight


class QueryExpanded(OtherIndex):
    """alpha query expansion.

    Source: Radenovic et al., PAMI 2019, after Chum et al., ICCV 2007.
    """

    def index(self, database: list[Vector]) -> Index:
        """Make descriptors searchable, twice for each query."""
        return ExpandingIndex(database)


class ExpandingIndex(CosineIndex):
    """Searches with the query plus its neighbours, weighted by cosine to the power of alpha."""

    def rows(self, queries: list[Vector]) -> Iterable[NDArray[Any]]:
        """Yield cosines to the expanded queries."""
        for query in queries:
            cosines = self.vectors @ query
            nearest = np.argsort(-cosines, kind='stable')[:NEIGHBOURS]
            weights = np.maximum(cosines[nearest], 0) ** ALPHA
            yield self.vectors @ unit(query + weights @ self.vectors[nearest])


class ReciprocalReranked(OtherIndex):
    """k-reciprocal encoding.

    Each query is ranked with the database alone, as on a robot. In the paper, queries can be
    neighbours of each other.

    Source: Zhong et al., CVPR 2017.
    """

    def index(self, database: list[Vector]) -> Index:
        """Encode the database by sets of mutual neighbours."""
        return ReciprocalIndex(database)


class ReciprocalIndex(CosineIndex):
    """Encodes every place by its mutual neighbours (N, N), sparse."""

    def __init__(self, database: list[Vector]) -> None:
        super().__init__(database)
        count = len(self.vectors)
        self._k1, self._k2 = min(K1, count), min(K2, count)
        plain = faiss.IndexFlatIP(self.vectors.shape[1])
        plain.add(self.vectors)
        # Each place is one of its own neighbours, as in the paper.
        cosines, near = plain.search(self.vectors, min(self._k1 + 1, count))
        self._farthest = cosines[:, -1]
        half = -(-self._k1 // 2)
        self._closest = [_mutual(near[:, : half + 1], row) for row in range(count)]
        own = [self._encoded(vector, _mutual(near, row)) for row, vector in enumerate(self.vectors)]
        columns = np.concatenate([names for names, _ in own])
        weights = np.concatenate([shares for _, shares in own])
        ends = np.cumsum([0, *(len(names) for names, _ in own)])
        single = csr_array((weights, columns, ends), shape=(count, count))
        averaged = near[:, : self._k2]
        mean = csr_array(
            (
                np.full(averaged.size, 1 / self._k2),
                averaged.ravel(),
                np.arange(count + 1) * self._k2,
            ),
            shape=(count, count),
        )
        self._single = single
        self._sets = csr_array(mean @ single)
        self._sums = np.asarray(self._sets.sum(axis=1)).ravel()
        self.bytes_per_place += POSTING_BYTES * self._sets.nnz / count

    def rows(self, queries: list[Vector]) -> Iterable[NDArray[Any]]:
        """Yield 1 - (0.7 Jaccard + 0.3 squared distance / largest)."""
        for query in queries:
            cosines = self.vectors @ query
            near = np.argsort(-cosines, kind='stable')[: self._k1]
            names, shares = self._encoded(query, near[cosines[near] >= self._farthest[near]])
            mine = np.zeros(len(cosines))
            mine[names] = shares
            if self._k2 > 1:
                others = self._single[near[: self._k2 - 1]].sum(axis=0)
                mine = (mine + np.asarray(others).ravel()) / self._k2
            held = self._sets.copy()
            held.data = np.minimum(held.data, mine[held.indices])
            least = np.asarray(held.sum(axis=1)).ravel()
            # max(a, b) = a + b - min(a, b), and the sums of the sets are known.
            most = mine.sum() + self._sums - least
            jaccard = 1 - least / np.maximum(most, 1e-12)
            distance = 2 - 2 * cosines
            distance = distance / max(float(distance.max()), 1e-12)
            yield 1 - ((1 - OF_DISTANCE) * jaccard + OF_DISTANCE * distance)

    def _encoded(
        self, vector: Vector, mutual: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows (n,) and weights (n,), sum 1, of a vector's mutual neighbours and of theirs."""
        names = set(mutual.tolist())
        for closest in (self._closest[other] for other in mutual):
            if len(np.intersect1d(closest, mutual)) > SHARED * len(closest):
                names |= set(closest.tolist())
        found = np.array(sorted(names), np.int64)
        cosines = self.vectors[found] @ vector
        weights = np.exp(-(2 - 2 * cosines).astype(np.float64))
        return found, weights / max(float(weights.sum()), 1e-12)


def _mutual(near: NDArray[np.int64], row: int) -> NDArray[np.int64]:
    """Neighbours of a row of near (N, k) that have the row as a neighbour too."""
    return near[row][(near[near[row]] == row).any(axis=1)]
