"""Curves of an evaluation that need no more than its queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netvlad_ros.core.geometry import Array

MOST_RANKS = 100  # nobody looks further down a list


def recall_curve(ranks: Sequence[int | None], answerable: int, depth: int) -> Array:
    """recall@1 .. recall@depth, (depth,), over the answerable queries; empty if there are none.

    ranks: of the first right place of each query, 1 the best, None where none was found.
    """
    if not answerable:
        return np.zeros(0)
    found = np.array([rank for rank in ranks if rank is not None], dtype=np.int64)
    return (found[:, np.newaxis] <= np.arange(1, depth + 1)).sum(axis=0) / answerable
