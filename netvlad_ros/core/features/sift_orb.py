"""SIFT and ORB extractors, by OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import check_rgb
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import (
    FeatureSpec,
    LocalFeatures,
    full_image_positions,
    no_features,
)

MIN_GREY_SIDE_PX = 8  # a smaller image, once shrunk, has no room for keypoints
# OpenCV's default of 0.04 finds only 600 keypoints in an image of a kitchen; 1000 may be kept.
SIFT_CONTRAST = 0.02
ORB_SCALE = 1.2  # between two levels of the image pyramid
ORIENTATIONS = 1.15  # keypoints that SIFT finds at each distinct position, on average


class SiftExtractor:
    """SIFT with RootSIFT descriptors.

    A position has one keypoint, the strongest of its orientations: inliers are counted as evidence,
    and one corner must not count twice.

    Source:
        Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self._sift = cv2.SIFT.create(
            nfeatures=int(spec.max_keypoints * ORIENTATIONS),
            contrastThreshold=SIFT_CONTRAST,
            # Otherwise all keypoints are shifted by a quarter of a pixel, right and down.
            enable_precise_upscale=True,
        )

    def extract(self, rgb: NDArray[np.uint8]) -> LocalFeatures:
        """Features of rgb, uint8 (H, W, 3) RGB. Raises NetvladError if it is no such image."""
        grey = shrunken_grey(rgb, self.spec.max_side_px)
        found, rows = _detect(self._sift, grey, self.spec)
        if not found:
            return no_features(self.spec)
        kept = _strongest(found, self.spec.max_keypoints)
        histograms = rows[kept] / np.maximum(rows[kept].sum(axis=1, keepdims=True), 1e-12)
        root = np.minimum(np.rint(512 * np.sqrt(histograms)), 255).astype(np.uint8)
        positions = full_image_positions([found[i].pt for i in kept], grey.shape, rgb.shape)
        return LocalFeatures(positions, root)


class OrbExtractor:
    """ORB: ten times as fast as SIFT, but matches only over smaller changes of view.

    Source:
        Rublee et al., "ORB: an efficient alternative to SIFT or SURF", ICCV 2011.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self._orb = cv2.ORB.create(nfeatures=spec.max_keypoints, scaleFactor=ORB_SCALE)

    def extract(self, rgb: NDArray[np.uint8]) -> LocalFeatures:
        """Features of rgb, uint8 (H, W, 3) RGB. Raises NetvladError if it is no such image."""
        grey = shrunken_grey(rgb, self.spec.max_side_px)
        found, rows = _detect(self._orb, grey, self.spec)
        if not found:
            return no_features(self.spec)
        kept = _strongest(found, self.spec.max_keypoints)
        # OpenCV scales positions about the centre of pixel 0, 0, but images about its corner.
        shift = [(ORB_SCALE ** found[i].octave - 1) / 2 for i in kept]
        points = np.array([found[i].pt for i in kept]) + np.array(shift)[:, None]
        positions = full_image_positions(points, grey.shape, rgb.shape)
        return LocalFeatures(positions, np.ascontiguousarray(rows[kept]))


def shrunken_grey(rgb: NDArray[np.uint8], max_side_px: int) -> NDArray[np.uint8]:
    """Brightness, uint8 (h, w), of rgb with its longer side shrunk to at most max_side_px."""
    check_rgb(rgb)
    height, width = rgb.shape[:2]
    scale = min(1.0, max_side_px / max(height, width))
    # Grey first, which is faster: both steps are linear, so their order does not matter.
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    if scale < 1.0:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, dtype=np.uint8)


def _detect(
    detector: cv2.Feature2D, grey: NDArray[np.uint8], spec: FeatureSpec
) -> tuple[list[cv2.KeyPoint], NDArray[Any]]:
    if min(grey.shape) < MIN_GREY_SIDE_PX:
        return [], np.empty((0, spec.dim))
    try:
        found, rows = detector.detectAndCompute(grey, None)
    except cv2.error as error:
        raise NetvladError(f'{spec.kind} features cannot be found: {error.err}') from error
    return list(found), np.asarray(rows)


def _strongest(found: list[cv2.KeyPoint], count: int) -> list[int]:
    """Indices of the strongest keypoints at distinct positions, strongest first."""
    order = sorted(range(len(found)), key=lambda i: -found[i].response)
    first = {found[i].pt: i for i in reversed(order)}
    return sorted(first.values(), key=lambda i: -found[i].response)[:count]
