"""Recall and Validation: recall@1, 5 and 10 on images that are held out of training."""

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
    """Share of queries with a positive among the N most similar images, the mean over domains.

    Attributes:
        at_1: recall@1, in [0, 1].
        at_5: recall@5, in [0, 1].
        at_10: recall@10, in [0, 1].
        queries: number of queries, each with a positive.

    Raises:
        ValueError: a recall is outside [0, 1], or queries is no whole number.
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
        """Larger is better: recall@5, then recall@1."""
        return self.at_5, self.at_1

    def __str__(self) -> str:
        return f'recall@1/5/10 {self.at_1:.3f} {self.at_5:.3f} {self.at_10:.3f}'


class Validation:
    """Recall of validation queries in the validation database.

    Images of the same visit as the query (Supervision.is_same_visit) are left out of its ranking.

    Args:
        supervision: of the held-out images; has queries.
        cache_mb: memory for descriptors [MiB]; beyond it they go to a file.
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
        before = []  # of each query: number of images ranked before its best positive
        for start in range(0, len(queries), BLOCK):
            block = queries[start : start + BLOCK]
            similarity = cache.similarities(block, database)
            for query, row in zip(block.tolist(), similarity, strict=True):
                row[self._supervision.is_same_visit(query, database)] = -np.inf
                positives = np.searchsorted(database, self._supervision.positives(query))
                best = row[positives].max()
                row[positives] = -np.inf
                before.append(int((row >= best).sum()))  # ties count against the network
        ranks, domains = np.array(before), self._supervision.domains[queries]
        parts = [ranks[domains == domain] for domain in np.unique(domains)]
        at_1, at_5, at_10 = (float(np.mean([(part < n).mean() for part in parts])) for n in RANKS)
        return Recall(at_1, at_5, at_10, len(queries))
