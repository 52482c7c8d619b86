"""ImageAnalysis: what one pass of a model says about an image, its local features included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RawFeatures:
    """Local features as the network answers them, checked, strongest first, without padding.

    Attributes:
        keypoints: float64 (n, 2), x and y [px of the resized image]; centres of pixels lie at
            whole numbers.
        rows: float64 (n, dim), local descriptors of unit length.
        scores: float64 (n,), higher is stronger.
    """

    keypoints: NDArray[np.float64]
    rows: NDArray[np.float64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True)
class ImageAnalysis:
    """The answer of a model bundle to one image.

    Attributes:
        descriptor: float32 (D,), of unit length.
        features: the local features; None if the model has no local outputs.
        size: height and width of the resized image [px].
    """

    descriptor: NDArray[np.float32]
    features: RawFeatures | None
    size: tuple[int, int]
