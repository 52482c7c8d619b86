"""How well places that training never saw are found again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.mining.descriptor_cache import DescriptorCache

RANKS = (1, 5, 10)
BLOCK = 128  # queries whose similarities to the whole database are in memory at once


@dataclass(frozen=True)
class Recall:
    """Share of queries with a positive among the N most similar images.

    Attributes:
        at_1, at_5, at_10: in [0, 1].
        queries: how many have a positive and were counted.

    Raises:
        ValueError: a share that is none.
    """

    at_1: float
    at_5: float
    at_10: float
    queries: int

    def __post_init__(self) -> None:
        for share in (self.at_1, self.at_5, self.at_10):
            if not (isinstance(share, float) and 0.0 <= share <= 1.0):
                raise ValueError(f'a recall of {share!r}')
        if type(self.queries) is not int:
            raise ValueError(f'a recall over {self.queries!r} queries')

    @property
    def order(self) -> tuple[float, float]:
        """The larger, the better: recall@5, and recall@1 where that is equal."""
        return self.at_5, self.at_1

    def __str__(self) -> str:
        return f'recall@1/5/10 {self.at_1:.3f} {self.at_5:.3f} {self.at_10:.3f}'


class Validation:
    """Recall of validation queries in the validation database.

    What is no revisit of a query (Supervision.is_same_visit) is never an answer to it.

    Args:
        supervision: of the held-out images; has queries.
        cache_mb: memory for descriptors [MiB]; more go to a file.
    """

    def __init__(self, supervision: Supervision, cache_mb: int) -> None:
        self._supervision = supervision
        self._cache_mb = cache_mb

    def __call__(self, describe: Callable[[NDArray[np.int64]], np.ndarray]) -> Recall:
        """Ranks the database for every query.

        Args:
            describe: indices (M,) int64 of validation images -> unit rows float32 (M, D).
        """
        queries, database = self._supervision.queries, self._supervision.database
        images = np.union1d(queries, database)
        cache = DescriptorCache(describe, images, self._cache_mb)
        before = []  # of each query: images of other places that come before the best positive
        for start in range(0, len(queries), BLOCK):
            block = queries[start : start + BLOCK]
            similarity = cache.similarities(block, database)
            for query, row in zip(block.tolist(), similarity, strict=True):
                row[self._supervision.is_same_visit(query, database)] = -np.inf
                positives = np.searchsorted(database, self._supervision.positives(query))
                best = row[positives].max()
                row[positives] = -np.inf
                before.append(int((row >= best).sum()))  # ties count against the network
        ranks = np.array(before)
        at_1, at_5, at_10 = (float((ranks < n).mean()) for n in RANKS)
        return Recall(at_1, at_5, at_10, len(queries))
