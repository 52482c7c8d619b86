"""OcclusionMap: how much similarity drops if a part of an image is covered."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.progress import Progress, no_progress

MIN_PATCH_PX, MIN_STRIDE_PX = 8, 4
_BATCH = 8


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """Influence of each pixel on the similarity of an image.

    Attributes:
        drop: float64 (h, w) at the model's working size: by how much the similarity falls if the
            pixel is covered; negative if it rises.
        similarity: cosine between the uncovered image and what it was compared with.
        patch_px: side of the cover, at the working size.
        stride_px: between two covers, at the working size.
    """

    drop: NDArray[np.float64]
    similarity: float
    patch_px: int
    stride_px: int


def occlusion_map(
    bundle: ModelBundle,
    rgb: NDArray[np.uint8],
    compared_with: NDArray[np.float32] | None = None,
    *,
    patch_px: int | None = None,
    stride_px: int | None = None,
    progress: Progress = no_progress,
) -> OcclusionMap:
    """Slide a blurred patch over an image.

    The drop of a pixel is the mean over the patches that cover it, weighted by how much they blur
    it.

    Args:
        bundle: the model.
        rgb: uint8 (H, W, 3).
        compared_with: descriptor (D,) of another image; None = of rgb itself, uncovered.
        patch_px: side of the patch at the model's working size; None = the image's shorter side
            divided by 4.5.
        stride_px: between two patches at the working size; None = half a patch.
        progress: called with the number of patches done and the total.

    Raises:
        NetvladError: patch or stride are impossible, or the model fails.

    Source: Zeiler and Fergus, ECCV 2014, section 4.2.
    """
    image = bundle.metadata.preprocessing(rgb)
    height, width = image.shape[:2]
    shorter = min(height, width)
    patch = max(MIN_PATCH_PX, round(shorter / 4.5)) if patch_px is None else patch_px
    if not MIN_PATCH_PX <= patch <= shorter:
        raise NetvladError(
            f'the patch has {patch} px; for this image and model it must have {MIN_PATCH_PX} to '
            f'{shorter} px (working size {width}x{height})'
        )
    stride = max(MIN_STRIDE_PX, patch // 2) if stride_px is None else stride_px
    if not MIN_STRIDE_PX <= stride <= patch:
        raise NetvladError(
            f'the stride is {stride} px; it must be {MIN_STRIDE_PX} px to one patch, {patch} px, '
            'or parts of the image would never be covered'
        )
    own = bundle.describe(image)
    target = own if compared_with is None else compared_with
    similarity = float(own @ target)
    blurred = cv2.GaussianBlur(image, (0, 0), patch / 2.5).astype(np.float32)
    centres = [(y, x) for y in _centres(height, stride) for x in _centres(width, stride)]
    total = np.zeros((height, width))
    weight = np.full((height, width), 1e-9)
    for start in range(0, len(centres), _BATCH):
        progress(start, len(centres))
        covers = [_cover(height, width, *at, patch) for at in centres[start : start + _BATCH]]
        covered = [
            (image + cover[..., None] * (blurred - image)).round().astype(np.uint8)
            for cover in covers
        ]
        similarities = bundle.describe_batch(covered) @ target
        for cover, value in zip(covers, similarities.tolist(), strict=True):
            total += cover * (similarity - value)
            weight += cover
    progress(len(centres), len(centres))
    return OcclusionMap(total / weight, similarity, patch, stride)


def _centres(side: int, stride: int) -> NDArray[np.float64]:
    """Even steps of at most `stride` that reach both edges."""
    count = int(np.ceil(side / stride))
    return (np.arange(count) + 0.5) * side / count


def _cover(height: int, width: int, y: float, x: float, patch: int) -> NDArray[np.float32]:
    """Share of each pixel that is blurred: a square with soft edges, which add no lines."""
    soft = patch / 8

    def along(side: int, centre: float) -> NDArray[np.float64]:
        inside = patch / 2 - np.abs(np.arange(side) + 0.5 - centre)
        return np.clip(0.5 + inside / (2 * soft), 0.0, 1.0)

    return np.outer(along(height, y), along(width, x)).astype(np.float32)
