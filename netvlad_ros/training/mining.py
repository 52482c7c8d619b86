"""Which tuples are worth training on (paper, section 4 and appendix A): the hard ones, from a
cache.

Descriptors are computed once for all images that a round may need and kept for the whole round;
each query then takes its best positive (the potential positives are only near in time: they need
not show the same thing) and its hardest negatives, from a random pool and from those remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.clips import ClipSet


@dataclass(frozen=True)
class TrainingTuple:
    """Indices of frames: one query, its best positive, its hardest negatives."""

    query: int
    positive: int
    negatives: tuple[int, ...]


class HardNegativeMiner:
    """Draws rounds of tuples from a set of clips.

    Args:
        clips: training frames.
        describe: indices (M,) int64 -> pooled descriptors float32 (M, D), by the current network.
        gap_s: shortest and longest time between query and positive [s].
        negatives: so many of the hardest are kept.
        pool: so many frames are drawn as candidates for negatives in each round.
        choice: so many queries are tried for each tuple that is kept, the one of largest loss.
            After a good initialisation most tuples have none and would teach nothing.
        seed: with the round's number it decides every draw, so a resumed run draws the same.

    Raises:
        NetvladError: no frame has both a positive and a negative.
    """

    def __init__(
        self,
        clips: ClipSet,
        describe: Callable[[np.ndarray], np.ndarray],
        *,
        gap_s: tuple[float, float],
        negatives: int,
        pool: int,
        choice: int,
        seed: int,
    ) -> None:
        self._clips = clips
        self._describe = describe
        self._gap_s = gap_s
        self._negatives = negatives
        self._pool = pool
        self._choice = choice
        self._seed = seed
        self.remembered: dict[int, tuple[int, ...]] = {}
        self.queries = np.array(
            [
                i
                for i in range(len(clips))
                if len(clips.positives(i, gap_s)) and len(clips.negatives(i))
            ],
            dtype=np.int64,
        )
        self.without_positive = len(clips) - len(self.queries)
        if not len(self.queries):
            raise NetvladError(
                f'none of the {len(clips)} training frames has a positive {gap_s[0]:g} to '
                f'{gap_s[1]:g} s away in its clip and a negative on another floor: give longer '
                'clips of more places'
            )

    def round(self, number: int, count: int) -> list[TrainingTuple]:
        """The tuples of one round: count of them, in random order."""
        rng = np.random.default_rng((self._seed, number))
        queries = self._draw_queries(rng, count * self._choice)
        pool = rng.permutation(len(self._clips))[: self._pool]
        positives = {q: self._clips.positives(q, self._gap_s) for q in queries}
        extra = [index for q in queries for index in self.remembered.get(q, ())]
        wanted = np.unique(np.concatenate([pool, queries, extra, *positives.values()])).astype(int)
        row = {int(index): i for i, index in enumerate(wanted)}
        descriptors = self._describe(wanted)
        tuples, margins = [], []
        for query in queries:
            offered = np.union1d(
                pool, np.array(self.remembered.get(int(query), ()), dtype=np.int64)
            )
            candidates = np.intersect1d(offered, self._clips.negatives(query))
            if not len(candidates):
                continue  # a small pool may hold nothing that is surely another place
            similar = _similarities(descriptors, row, query, candidates)
            hardest = np.argsort(-similar, kind='stable')[: self._negatives]
            chosen = tuple(int(candidates[i]) for i in hardest)
            near = _similarities(descriptors, row, query, positives[query])
            self.remembered[int(query)] = chosen
            tuples.append(TrainingTuple(int(query), int(positives[query][near.argmax()]), chosen))
            margins.append(near.max() - similar.max())
        if not tuples:
            raise NetvladError(
                f'no negative among the {self._pool} frames that mining drew: enlarge pool'
            )
        kept = np.argsort(margins, kind='stable')[:count]
        return [tuples[i] for i in rng.permutation(kept)]

    def _draw_queries(self, rng: np.random.Generator, count: int) -> np.ndarray:
        repeats = -(-count // len(self.queries))
        order = np.concatenate([rng.permutation(self.queries) for _ in range(repeats)])
        return order[:count]


def _similarities(
    descriptors: np.ndarray, row: dict[int, int], query: int, others: np.ndarray
) -> np.ndarray:
    return descriptors[[row[int(i)] for i in others]] @ descriptors[row[int(query)]]
