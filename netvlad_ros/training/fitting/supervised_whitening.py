"""Whitening learned from matching pairs of images.

Source: Mikolajczyk and Matas, ICCV 2007; Radenovic et al., TPAMI 2019.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.fitting.pca_whitening import principal_directions
from netvlad_ros.training.network.whitening import Projection

MAX_SUBSPACE = 4096  # leading principal directions that are used: matrices of 134 MB
_CHUNK = 4096  # pairs at once


def supervised_whitening(
    descriptors: np.ndarray, pairs: np.ndarray, dim: int, shrinkage: float = 0.0
) -> Projection:
    """Whitens the differences between images of one place, then applies PCA.

    S is the covariance of differences of matching pairs, C the covariance of all descriptors. The
    rows of the projection are the solutions v of C v = lambda S v with v' S v = 1 and the largest
    lambda. This equals S^(-1/2) followed by PCA. It is solved by the eigenvalues w of
    C^(-1/2) S C^(-1/2), the smallest first.

    The eigenvalues w are shrunk towards their mean, by the oracle approximating shrinkage estimator
    or by `shrinkage`, whichever is more. S itself must not be shrunk towards a multiple of the unit
    matrix: one strong nuisance, such as lighting, would make that multiple so large that it hides
    the differences of places.

    Pairs determine no more directions than half their number. So only leading principal directions
    are used: at most half the number of pairs, nine tenths of the number of images, and 4096.

    Source:
        Radenovic et al., TPAMI 2019, section 3.2 ("Lw").
        Chen, Wiesel, Eldar and Hero, 2010 (shrinkage).

    Args:
        descriptors: (N, D), of training images only, N > dim.
        pairs: int64 (P, 2), rows of descriptors that show one place.
        dim: directions that are kept.
        shrinkage: in [0, 1]; with 1 every direction has the scale of PCA whitening.

    Raises:
        NetvladError: there are no pairs, pairs name no rows, descriptors are too few, or the
            descriptors of every pair are equal.
    """
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1:] != (2,) or not len(pairs):
        raise NetvladError('supervised whitening needs pairs of images that show one place: none')
    if pairs.min() < 0 or pairs.max() >= len(descriptors):
        raise NetvladError('supervised whitening: a pair names an image that is not there')
    count, width = descriptors.shape
    subspace = max(dim, min(width, len(pairs) // 2, count * 9 // 10, MAX_SUBSPACE))
    axes, variance, mean = principal_directions(descriptors, subspace)
    axes = axes / np.sqrt(variance)[:, None]  # from here on C is the unit matrix
    within = np.zeros((subspace, subspace))
    for start in range(0, len(pairs), _CHUNK):
        first, second = pairs[start : start + _CHUNK].T
        difference = (descriptors[first].astype(np.float64) - descriptors[second]) @ axes.T
        within += difference.T @ difference
    within /= len(pairs)
    level = float(np.trace(within)) / subspace
    if not level > 0.0:
        raise NetvladError('supervised whitening: the descriptors of every pair are equal')
    weight = max(shrinkage, oracle_shrinkage(within, len(pairs)), 1e-9)
    w, vectors = scipy.linalg.eigh(within, subset_by_index=[0, dim - 1], overwrite_a=True)
    scale = np.sqrt((1.0 - weight) * w.clip(min=0.0) + weight * level)
    return Projection((vectors / scale).T @ axes, mean)


def oracle_shrinkage(covariance: np.ndarray, samples: int) -> float:
    """Weight in [0, 1] of the unit matrix in a covariance (p, p) of that many samples.

    Source:
        Chen et al. 2010, equation 23.
    """
    p = len(covariance)
    squared = float(np.trace(covariance)) ** 2
    of_square = float(np.square(covariance).sum())  # trace of its square: it is symmetric
    above = (1.0 - 2.0 / p) * of_square + squared
    below = (samples + 1.0 - 2.0 / p) * (of_square - squared / p)
    return min(1.0, above / below) if below > 0.0 else 1.0
