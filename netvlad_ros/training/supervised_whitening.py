"""Whitening learned from matching pairs (Mikolajczyk, Matas, ICCV 2007; Radenovic et al. 2019)."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.pca_whitening import principal_directions
from netvlad_ros.training.whitening import Projection

MAX_SUBSPACE = 4096  # leading principal directions that are looked at: matrices of 134 MB
_CHUNK = 4096  # pairs at one time


def supervised_whitening(
    descriptors: np.ndarray, pairs: np.ndarray, dim: int, shrinkage: float = 0.0
) -> Projection:
    """What differs between two images of one place is divided out; then PCA of what is left.

    With S the covariance of differences of matching pairs and C that of all descriptors, the rows
    are the solutions v of C v = lambda S v with v' S v = 1 and the largest lambda: the same as
    S^(-1/2) followed by PCA ("Lw" of Radenovic et al., TPAMI 2019, section 3.2). A few thousand
    pairs do not determine S in thousands of dimensions, so it is drawn towards a sphere of equal
    trace, as far as the oracle approximating shrinkage estimator says (Chen, Wiesel, Eldar and
    Hero, 2010) or `shrinkage`, whichever is more. All of it happens among the leading 4096
    principal directions, or as many as the descriptors span.

    Args:
        descriptors: (N, D), of training images only, N > dim.
        pairs: int64 (P, 2), rows of descriptors that show one place.
        dim: directions that are kept.
        shrinkage: in [0, 1]: 1 takes S for a sphere, which leaves a rotation (plain PCA).

    Raises:
        NetvladError: no pairs, pairs that are no rows, too few descriptors, or pairs of equal
            descriptors only.
    """
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1:] != (2,) or not len(pairs):
        raise NetvladError('supervised whitening needs pairs of images that show one place: none')
    if pairs.min() < 0 or pairs.max() >= len(descriptors):
        raise NetvladError('supervised whitening: a pair names an image that is not there')
    width = max(dim, min(MAX_SUBSPACE, descriptors.shape[1], _rank(descriptors)))
    axes, variance, mean = principal_directions(descriptors, width)
    within = np.zeros((width, width))
    for start in range(0, len(pairs), _CHUNK):
        first, second = pairs[start : start + _CHUNK].T
        difference = (descriptors[first].astype(np.float64) - descriptors[second]) @ axes.T
        within += difference.T @ difference
    within /= len(pairs)
    sphere = float(np.trace(within)) / width
    if not sphere > 0.0:
        raise NetvladError('supervised whitening: the descriptors of every pair are equal')
    weight = max(shrinkage, oracle_shrinkage(within, len(pairs)))
    within *= 1.0 - weight
    within[np.diag_indices(width)] += max(weight, 1e-9) * sphere
    _, vectors = scipy.linalg.eigh(
        np.diag(variance), within, subset_by_index=[width - dim, width - 1]
    )
    return Projection(vectors[:, ::-1].T @ axes, mean)


def oracle_shrinkage(covariance: np.ndarray, samples: int) -> float:
    """How far to draw a covariance (p, p) of so many samples towards a sphere, in [0, 1].

    Chen et al. 2010, eq. 23.
    """
    p = len(covariance)
    squared = float(np.trace(covariance)) ** 2
    of_square = float(np.square(covariance).sum())  # trace of its square: it is symmetric
    above = (1.0 - 2.0 / p) * of_square + squared
    below = (samples + 1.0 - 2.0 / p) * (of_square - squared / p)
    return min(1.0, above / below) if below > 0.0 else 1.0


def _rank(descriptors: np.ndarray) -> int:
    """Directions that so many descriptors may span, leaving out the ones that noise decides."""
    return max(1, len(descriptors) * 9 // 10 - 1)
