"""QueryOrder and NegativeMemory: what a miner keeps between rounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError


class QueryOrder:
    """Queries in random order, epoch after epoch without end; the domains take turns.

    Each domain has epochs of its own: a small one begins its next epoch before the others.

    Args:
        queries: (Q,) int64, at least one.
        seed: decides the order of an epoch, with the number of the epoch.
        domains: (Q,) int64, domain of each query.

    Attributes:
        drawn: number of queries taken so far. A resumed run needs nothing else.
    """

    def __init__(self, queries: NDArray[np.int64], seed: int, domains: NDArray[np.int64]) -> None:
        self._parts = [queries[domains == domain] for domain in np.unique(domains)]
        self._seed = seed
        self.drawn = 0

    def take(self, count: int) -> NDArray[np.int64]:
        """The next queries, (count,) int64."""
        turns = np.arange(self.drawn, self.drawn + count)
        self.drawn += count
        taken = np.empty(count, dtype=np.int64)
        for domain in range(len(self._parts)):
            mine = turns % len(self._parts) == domain
            taken[mine] = self._of(domain, turns[mine] // len(self._parts))
        return taken

    def _of(self, domain: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The queries at consecutive places in the endless order of a domain."""
        if not len(places):
            return places
        size = len(self._parts[domain])
        epochs = range(int(places[0]) // size, int(places[-1]) // size + 1)
        order = np.concatenate([self._epoch(domain, number) for number in epochs])
        return order[places - epochs.start * size]

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from the `drawn` of a miner's state; raises NetvladError if there is none."""
        drawn = state.get('drawn') if isinstance(state, dict) else None
        if type(drawn) is not int or drawn < 0:
            raise NetvladError(f'the mining state says {drawn!r} queries were drawn: it is damaged')
        self.drawn = drawn

    def _epoch(self, domain: int, number: int) -> NDArray[np.int64]:
        # The third number makes this stream differ from those of the rounds.
        rng = np.random.default_rng((self._seed, number, 1 + domain))
        return rng.permutation(self._parts[domain])


class NegativeMemory:
    """The negatives that each query had last, 4 bytes each: 4 MB for ten of 100,000 queries.

    Args:
        queries: (Q,) int64, all queries, sorted.
        negatives: most that are remembered of one query.
        images: number of images; a restored state may name no others.
    """

    def __init__(self, queries: NDArray[np.int64], negatives: int, images: int) -> None:
        self._queries = queries
        self._images = images
        self._kept = np.full((len(queries), negatives), -1, dtype=np.int32)

    def of(self, query: int) -> NDArray[np.int64]:
        """The negatives that were kept for this query last, hardest first, int64; may be empty."""
        row = self._kept[np.searchsorted(self._queries, query)]
        return row[row >= 0].astype(np.int64)

    def keep(self, query: int, negatives: tuple[int, ...]) -> None:
        """Replaces the negatives of this query."""
        row = self._kept[np.searchsorted(self._queries, query)]
        row[:] = -1
        row[: len(negatives)] = negatives

    def state(self) -> dict[str, Any]:
        """For JSON: the queries that have negatives."""
        seen = np.flatnonzero(self._kept[:, 0] >= 0)
        negatives = [[n for n in row if n >= 0] for row in self._kept[seen].tolist()]
        return {'queries': self._queries[seen].tolist(), 'negatives': negatives}

    def restore(self, state: Any) -> None:
        """Goes on from a state.

        Raises:
            NetvladError: the state is unreadable, or of other images or settings.
        """
        try:
            queries, negatives = state['queries'], state['negatives']
            fits = (
                len(queries) == len(negatives)
                and bool(np.isin(queries, self._queries).all())
                and all(len(row) <= self._kept.shape[1] for row in negatives)
                and all(0 <= index < self._images for row in negatives for index in row)
            )
        except (KeyError, TypeError, ValueError) as error:
            raise NetvladError(f'the mining state cannot be read ({error!r})') from error
        if not fits:
            raise NetvladError(
                'the mining state belongs to other images or settings: resume with those of the '
                'run, or start a new one'
            )
        self._kept[:] = -1
        for query, row in zip(queries, negatives, strict=True):
            self.keep(query, tuple(row))
