"""RandomMiner: random tuples, without descriptors; the baseline for mining."""

from __future__ import annotations

from typing import Any

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.data.batch import TrainingBatch, TrainingTuple
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.mining.batch_maker import BatchMaker
from netvlad_ros.training.mining.miner_memory import QueryOrder

TRIES = 8  # draws of candidates for one query's negatives


class RandomMiner:
    """Each query with a random potential positive and random definite negatives.

    A round has the same number of queries of each domain.

    Args:
        supervision: which images are positives and negatives of which.
        batch: tuples in one batch.
        seed: decides every draw, with the number of the round.
        negatives: drawn for each query.
    """

    def __init__(self, supervision: Supervision, *, batch: int, seed: int, negatives: int) -> None:
        self._supervision = supervision
        self._batch = batch
        self._seed = seed
        self._negatives = negatives
        self._order = QueryOrder(
            supervision.queries, seed, supervision.domains[supervision.queries]
        )
        self._batches = BatchMaker(supervision)

    def round(self, number: int, count: int) -> list[TrainingBatch]:
        """Batches with `count` tuples in all.

        A query without a definite negative is left out; the tuples of others are repeated instead.

        Raises:
            NetvladError: no query has a definite negative.
        """
        rng = np.random.default_rng((self._seed, number))
        tuples = []
        for query in self._order.take(count).tolist():
            negatives = self._draw(query, rng)
            if negatives:
                positive = int(rng.choice(self._supervision.positives(query)))
                tuples.append(TrainingTuple(query, positive, negatives))
        if not tuples:
            raise NetvladError(
                f'none of {count} queries has a definite negative: give images of more places'
            )
        order = np.resize(np.arange(len(tuples)), count)
        return [
            self._batches.of_tuples([tuples[i] for i in order[start : start + self._batch]])
            for start in range(0, count, self._batch)
        ]

    def state(self) -> dict[str, Any]:
        """For JSON: what later rounds depend on."""
        return {'drawn': self._order.drawn}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state; raises NetvladError if it is damaged."""
        self._order.restore(state)

    def _draw(self, query: int, rng: np.random.Generator) -> tuple[int, ...]:
        database = self._supervision.database
        found: dict[int, None] = {}  # in the order of drawing, each once
        for _ in range(TRIES):
            drawn = rng.choice(database, min(4 * self._negatives, len(database)), replace=False)
            sure = drawn[self._supervision.is_negative(query, drawn)]
            found.update(dict.fromkeys(sure.tolist()))
            if len(found) >= self._negatives:
                break
        return tuple(found)[: self._negatives]
