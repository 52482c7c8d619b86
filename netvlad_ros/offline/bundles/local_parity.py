"""Parity of local features: whether two networks find the same keypoints in the same images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.local_outputs import PADDING_LENGTH
from netvlad_ros.offline.bundles.parity import PARITY, Answer, image_groups

POSITION_PX = 0.01  # largest distance between equal keypoints [px of the input]
SAME_SHARE = 0.99  # of keypoints; rounding decides which of two equal maxima is the larger


def check_local_parity(
    reference: Answer, candidate: Answer, images: Sequence[NDArray[np.uint8]], what: str
) -> None:
    """Compare image by image and, if their sizes agree, all as one batch.

    Args:
        reference, candidate: the two sides. Each answers keypoints (N, K, 2) [px], scores (N, K)
            and descriptors (N, K, D), where rows of zeros are padding.
        images: uint8 (h, w, 3) RGB, at their working size.
        what: begins the error message: what is refused, and what disagrees.

    Raises:
        NetvladError: fewer than SAME_SHARE of the keypoints of an image have their like on the
            other side, or a number is not finite.
    """
    worst = 1.0
    for group in image_groups(images):
        ours, theirs = reference(group), candidate(group)
        if not all(np.isfinite(answer).all() for answer in (*ours, *theirs)):
            raise NetvladError(f'{what} answer local features that are not finite')
        pairs = zip(ours[0], ours[2], theirs[0], theirs[2], strict=True)
        shares = [same_share(*pair) for pair in pairs]
        worst = min([worst, *shares])
    if worst < SAME_SHARE:
        raise NetvladError(
            f'{what} find the same local features only for {100 * worst:.1f} % of the keypoints '
            f'of an image, needs {100 * SAME_SHARE:.0f} %'
        )


def same_share(
    points: NDArray[np.floating],
    rows: NDArray[np.floating],
    other_points: NDArray[np.floating],
    other_rows: NDArray[np.floating],
) -> float:
    """Share of the keypoints of an image that have their like among others of that image.

    Args:
        points: (K, 2) [px].
        rows: (K, D), their descriptors; rows of zeros are padding.
        other_points: (L, 2) [px].
        other_rows: (L, D).

    Returns:
        Of the side with more keypoints; 1 where neither side has any.
    """
    real, other_real = (
        np.linalg.norm(side, axis=1) > PADDING_LENGTH for side in (rows, other_rows)
    )
    count, other_count = int(real.sum()), int(other_real.sum())
    if not count or not other_count:
        return float(count == other_count)
    own, others = (_unit(side) for side in (rows[real], other_rows[other_real]))
    distances, nearest = cKDTree(other_points[other_real]).query(points[real])
    cosines = (own * others[nearest]).sum(axis=1)
    same = (distances <= POSITION_PX) & (cosines > PARITY)
    return float(same.sum()) / max(count, other_count)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)
