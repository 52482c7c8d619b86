"""PostingLists: an inverted file of binary signatures by visual word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Signed = tuple[NDArray[np.int64], NDArray[np.uint8]]  # words (n,), signatures (n, bytes)
AT_ONCE = 2**20  # postings compared at once, about 40 MB


class PostingLists:
    """Postings, sorted by word.

    Attributes:
        counts: (N,) number of features of each place.
        word_of: (n,) word of each feature, in the order of places.
        place_of: (n,) place of each feature, in the order of places.
    """

    def __init__(self, database: Sequence[Signed], words: int) -> None:
        """Sort signatures by word.

        Args:
            database: words and signatures of each place.
            words: number of words in the vocabulary.
        """
        self.counts = np.array([len(found) for found, _ in database])
        self.word_of = np.concatenate([found for found, _ in database])
        self.place_of = np.repeat(np.arange(len(database)), self.counts)
        order = np.argsort(self.word_of, kind='stable')
        self._places = self.place_of[order]
        self._signatures = _in_words_of_64(np.concatenate([bits for _, bits in database])[order])
        self._starts = np.searchsorted(self.word_of[order], np.arange(words + 1))

    def matches(
        self, query: Signed
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        """Pairs of features of the same word, in the order of the query's features.

        Yields:
            Rows of the query's features, places, and numbers of different bits, (m,) each, for a
            part of all pairs at a time.
        """
        words, signatures = query[0], _in_words_of_64(query[1])
        lengths = self._starts[words + 1] - self._starts[words]
        part = (np.cumsum(lengths) - lengths) // AT_ONCE
        for rows in np.split(np.arange(len(words)), np.flatnonzero(np.diff(part)) + 1):
            many = lengths[rows]
            row_of = np.repeat(rows, many)
            within = np.arange(len(row_of)) - np.repeat(np.cumsum(many) - many, many)
            posting = self._starts[words[row_of]] + within
            apart = np.bitwise_count(self._signatures[posting] ^ signatures[row_of])
            yield row_of, self._places[posting], apart.sum(axis=1, dtype=np.int64)


def _in_words_of_64(signatures: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Signatures (n, bytes) as (n, words of 64 bits), padded with zeros."""
    empty = -signatures.shape[1] % 8
    return np.ascontiguousarray(np.pad(signatures, ((0, 0), (0, empty)))).view(np.uint64)
