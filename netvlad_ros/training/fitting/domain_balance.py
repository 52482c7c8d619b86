"""Draws and weights that give every domain the same share of a fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def balanced_draw(rng: np.random.Generator, domains: Indices, count: int) -> list[Indices]:
    """Draws the same number of images from each domain, without repetition.

    Args:
        rng: of the draws.
        domains: (N,) int64, domain of each image.
        count: images in all, rounded up to a multiple of the number of domains.

    Returns:
        For each domain the indices that were drawn, sorted; all of a domain that has too few.
    """
    rows = _by_domain(domains)
    share = -(-count // max(len(rows), 1))
    return [np.sort(rng.permutation(domain)[:share]) for domain in rows]


def balanced_part(domains: Indices, limit: int) -> Indices:
    """At most `limit` images, evenly spaced within each domain; small domains keep all of theirs.

    Args:
        domains: (N,) int64, domain of each image.
        limit: most images.

    Returns:
        Sorted indices, int64.
    """
    kept, left = [], limit
    rows = sorted(_by_domain(domains), key=len)
    for position, domain in enumerate(rows):
        share = min(len(domain), left // (len(rows) - position))
        kept.append(domain[np.arange(share, dtype=np.int64) * len(domain) // max(share, 1)])
        left -= share
    return np.sort(np.concatenate(kept)) if kept else np.empty(0, np.int64)


def balanced_weights(domains: Indices) -> NDArray[np.float64] | None:
    """Weights of rows, (N,) float64 with a mean of 1: those of each domain have the same sum.

    None if there is only one domain.
    """
    _, codes, counts = np.unique(domains, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        return None
    return np.asarray(len(domains) / (len(counts) * counts[codes]), dtype=np.float64)


def _by_domain(domains: Indices) -> list[Indices]:
    return [np.flatnonzero(domains == domain) for domain in np.unique(domains)]
