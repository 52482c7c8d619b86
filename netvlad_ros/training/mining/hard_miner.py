"""HardMiner: tuples with the hardest negatives, found by descriptors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.data.batch import TrainingBatch, TrainingTuple
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.mining.batch_maker import BatchMaker
from netvlad_ros.training.mining.descriptor_cache import Describe, DescriptorCache
from netvlad_ros.training.mining.miner_memory import NegativeMemory, QueryOrder
from netvlad_ros.training.mining.positives import PositiveChoice

BLOCK_BYTES = 2**27  # of similarities in memory at once


class HardMiner:
    """Each query with the positive that `choose` takes and its hardest definite negatives.

    Descriptors are computed once for all images that a round may need. Candidates for negatives
    are `pool` database images, drawn at random, and the negatives that the query had in the last
    epoch. A round has the same number of queries, candidates and tuples of each domain, as far as
    the domain has so many.

    Source:
        Arandjelovic et al., CVPR 2016, section 4 and appendix A.

    Args:
        supervision: which images are positives and negatives of which.
        describe: indices (M,) int64 -> pooled descriptors (M, D) float32, by the current network.
        choose: the rule for positives.
        batch: tuples in one batch.
        seed: decides every draw, with the number of the round.
        pool: candidates drawn in each round; None: all images are candidates.
        positive_pool: potential positives of each query that are described, drawn at random; 0:
            all.
        negatives: kept for each query.
        choice: queries tried for each tuple that is kept; the tuples of largest loss are kept.
            After a good initialisation most tuples have no loss and would teach nothing.
        remember: whether the negatives of the last epoch are candidates.
        cache_mb: memory for descriptors [MiB].
    """

    def __init__(
        self,
        supervision: Supervision,
        describe: Describe,
        choose: PositiveChoice,
        *,
        batch: int,
        seed: int,
        pool: int | None,
        positive_pool: int,
        negatives: int,
        choice: int,
        remember: bool,
        cache_mb: int,
    ) -> None:
        self._supervision = supervision
        self._describe = describe
        self._choose = choose
        self._batch = batch
        self._seed = seed
        self._pool = pool
        self._positive_pool = positive_pool
        self._negatives = negatives
        self._choice = choice
        self._cache_mb = cache_mb
        self._order = QueryOrder(
            supervision.queries, seed, supervision.domains[supervision.queries]
        )
        self._batches = BatchMaker(supervision)
        self._memory: NegativeMemory | None = None
        if remember and pool is not None:  # with all images as candidates, no memory is needed
            images = len(supervision.images)
            self._memory = NegativeMemory(supervision.queries, negatives, images)

    def round(self, number: int, count: int) -> list[TrainingBatch]:
        """Batches with `count` tuples in all, in random order.

        A query without a definite negative is left out. If too few tuples are left, the hardest are
        repeated.

        Raises:
            NetvladError: no query has a definite negative.
        """
        rng = np.random.default_rng((self._seed, number))
        queries = self._order.take(count * self._choice)
        potential = [self._potential(int(query), rng) for query in queries]
        pool = self._candidates(rng)
        extra = [self._remembered(int(query), pool) for query in queries]
        wanted = np.unique(np.concatenate([pool, queries, *extra, *potential]))
        cache = DescriptorCache(self._describe, wanted, self._cache_mb)
        tuples, hardness = [], []
        step = max(BLOCK_BYTES // (4 * len(pool)), 1)
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            to_pool = cache.similarities(block, pool)
            for row, query in enumerate(block):
                positives, others = potential[start + row], extra[start + row]
                near = cache.similarities(block[row : row + 1], np.concatenate([positives, others]))
                to_positives, to_others = near[0, : len(positives)], near[0, len(positives) :]
                offered, similar = pool, to_pool[row]
                if len(others):
                    offered = np.concatenate([pool, others])
                    similar = np.concatenate([similar, to_others])
                found = hardest_negatives(
                    similar, offered, self._is_negative(int(query)), self._negatives
                )
                if not len(found):
                    continue
                best = self._choose(int(query), positives, to_positives, rng)
                chosen = tuple(int(index) for index in offered[found])
                tuples.append(TrainingTuple(int(query), int(positives[best]), chosen))
                hardness.append(similar[found[0]] - to_positives[best])
        if not tuples:
            raise NetvladError(
                f'none of {len(queries)} queries has a definite negative among the {len(pool)} '
                'images that mining looked at: enlarge pool, or give images of more places'
            )
        self._remember(tuples)
        order = np.argsort(-np.array(hardness), kind='stable')
        asked = self._supervision.domains[[tuples[i].query for i in order]]
        kept = order[np.argsort(_occurrence(asked), kind='stable')][:count]
        order = rng.permutation(np.resize(kept, count))
        return [
            self._batches.of_tuples([tuples[i] for i in order[start : start + self._batch]])
            for start in range(0, count, self._batch)
        ]

    def state(self) -> dict[str, Any]:
        """For JSON: what later rounds depend on, besides the weights."""
        remembered = self._memory.state() if self._memory else None
        return {'drawn': self._order.drawn, 'remembered': remembered}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state.

        Raises:
            NetvladError: the state belongs to other images or settings.
        """
        self._order.restore(state)
        if self._memory:
            self._memory.restore(state.get('remembered'))

    def _potential(self, query: int, rng: np.random.Generator) -> NDArray[np.int64]:
        positives = self._supervision.positives(query)
        if self._pool is None or not 0 < self._positive_pool < len(positives):
            return positives
        return np.sort(rng.choice(positives, self._positive_pool, replace=False))

    def _candidates(self, rng: np.random.Generator) -> NDArray[np.int64]:
        database = self._supervision.database
        if self._pool is None or self._pool >= len(database):
            return database
        domains = self._supervision.domains[database]
        parts, left = [database[domains == domain] for domain in np.unique(domains)], self._pool
        drawn = []
        parts.sort(key=len)  # what a small domain lacks, the larger ones give
        for position, part in enumerate(parts):
            share = min(len(part), left // (len(parts) - position))
            drawn.append(rng.choice(part, share, replace=False))
            left -= share
        return np.sort(np.concatenate(drawn))

    def _remembered(self, query: int, pool: NDArray[np.int64]) -> NDArray[np.int64]:
        """The remembered negatives of a query that are not in the pool, which is sorted."""
        if not self._memory:
            return np.empty(0, dtype=np.int64)
        kept = self._memory.of(query)
        place = np.searchsorted(pool, kept).clip(max=len(pool) - 1)
        return kept[pool[place] != kept]

    def _remember(self, tuples: list[TrainingTuple]) -> None:
        if self._memory:
            for entry in tuples:
                self._memory.keep(entry.query, entry.negatives)

    def _is_negative(self, query: int) -> Callable[[NDArray[np.int64]], NDArray[np.bool_]]:
        return lambda candidates: self._supervision.is_negative(query, candidates)


def _occurrence(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each entry: how many entries before it have the same code."""
    occurrence = np.empty(len(codes), dtype=np.int64)
    for code in np.unique(codes):
        occurrence[codes == code] = np.arange(np.count_nonzero(codes == code))
    return occurrence


def hardest_negatives(
    similar: NDArray[np.float32],
    candidates: NDArray[np.int64],
    is_negative: Callable[[NDArray[np.int64]], NDArray[np.bool_]],
    wanted: int,
) -> NDArray[np.int64]:
    """Positions of the most similar candidates that are definite negatives, hardest first.

    Sorts and checks only as many of the most similar candidates as are needed.

    Args:
        similar: (C,), similarities to the query.
        candidates: (C,), indices of images, each once.
        is_negative: indices (M,) -> (M,) bool.
        wanted: most that are returned.
    """
    head = 4 * wanted
    while True:
        if head < len(candidates):
            top = np.argpartition(-similar, head)[:head]
            top = top[np.lexsort((top, -similar[top]))]
        else:
            top = np.argsort(-similar, kind='stable')
        found = top[is_negative(candidates[top])]
        if len(found) >= wanted or head >= len(candidates):
            return found[:wanted]
        head *= 4
