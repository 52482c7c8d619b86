"""In which order queries come: all of them once, shuffled, before any comes again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError


class QueryOrder:
    """Endless epochs over the queries.

    Args:
        queries: (Q,) int64, at least one.
        seed: with the epoch's number it decides the epoch's order.

    Attributes:
        drawn: how many were taken so far; all that a resumed run must know.
    """

    def __init__(self, queries: NDArray[np.int64], seed: int) -> None:
        self._queries = queries
        self._seed = seed
        self.drawn = 0

    def take(self, count: int) -> NDArray[np.int64]:
        """The next queries, (count,) int64."""
        first, size = self.drawn, len(self._queries)
        self.drawn += count
        epochs = range(first // size, -(-self.drawn // size))
        order = np.concatenate([self._epoch(number) for number in epochs] or [self._queries[:0]])
        start = first - epochs.start * size
        return order[start : start + count]

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from the `drawn` of a miner's state; raises NetvladError if there is none."""
        drawn = state.get('drawn') if isinstance(state, dict) else None
        if type(drawn) is not int or drawn < 0:
            raise NetvladError(f'the mining state says {drawn!r} queries were drawn: it is damaged')
        self.drawn = drawn

    def _epoch(self, number: int) -> NDArray[np.int64]:
        # The third number keeps this stream apart from the rounds' own draws.
        return np.random.default_rng((self._seed, number, 1)).permutation(self._queries)
