"""LocalFeatures of an image, and FeatureSpec: how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.errors import NetvladError

DIMS = {'sift': 128, 'orb': 32}  # columns of the built-in descriptors
DEFAULT_KEYPOINTS = 1000
# 480 takes a third less time than 640. With a VGA camera it gives as many inliers.
DEFAULT_MAX_SIDE_PX = 480
MAX_DIM = 1024
MAX_KEYPOINTS = 8_000  # two images with so many need half a gigabyte for matching
LEAST_MAX_SIDE_PX, MOST_MAX_SIDE_PX = 64, 4096  # range of FeatureSpec.max_side_px


@dataclass(frozen=True)
class LocalFeatures:
    """Keypoints of an image and their descriptors, strongest first.

    Attributes:
        keypoints: float32 (n, 2), x and y [px of the full image].
        descriptors: (n, D). sift: uint8, 512 times RootSIFT, clipped. orb: uint8, 8 bits each.
            onnx: float16, rows of unit length.

    Source:
        Arandjelovic and Zisserman, "Three things everyone should know to improve object retrieval",
        CVPR 2012 (RootSIFT).
    """

    keypoints: NDArray[np.float32]
    descriptors: NDArray[Any]

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True)
class FeatureSpec:
    """How features are made: a map stores it, and extractors are opened from it.

    Attributes:
        kind: 'sift', 'orb' or 'onnx'.
        dim: columns of the descriptors.
        max_keypoints: number of keypoints that an image keeps at most, the strongest.
        max_side_px: images are shrunk for the search so that the longer side is at most this [px].
        model_id: of the feature bundle, SHA-256 in hex; '' for sift and orb.
    """

    kind: str
    dim: int
    max_keypoints: int = DEFAULT_KEYPOINTS
    max_side_px: int = DEFAULT_MAX_SIDE_PX
    model_id: str = ''

    def __post_init__(self) -> None:
        problem = None
        if self.kind not in (*DIMS, 'onnx'):
            problem = f"the kind '{self.kind}' is none of sift, orb, onnx"
        elif not 1 <= self.dim <= MAX_DIM or self.dim != DIMS.get(self.kind, self.dim):
            problem = f'{self.dim} columns are not what {self.kind} features have'
        elif not 1 <= self.max_keypoints <= MAX_KEYPOINTS:
            problem = f'max_keypoints {self.max_keypoints} is outside 1..{MAX_KEYPOINTS}'
        elif not LEAST_MAX_SIDE_PX <= self.max_side_px <= MOST_MAX_SIDE_PX:
            allowed = f'{LEAST_MAX_SIDE_PX}..{MOST_MAX_SIDE_PX}'
            problem = f'max_side_px {self.max_side_px} is outside {allowed}'
        elif (self.kind == 'onnx') != bool(self.model_id):
            problem = 'features of an ONNX bundle, and only they, have a model id'
        if problem:
            raise NetvladError(f'impossible local features: {problem}')

    @classmethod
    def built_in(
        cls,
        kind: str,
        *,
        max_keypoints: int = DEFAULT_KEYPOINTS,
        max_side_px: int = DEFAULT_MAX_SIDE_PX,
    ) -> FeatureSpec:
        """Features that need no model: sift or orb. Raises NetvladError."""
        if kind not in DIMS:
            raise NetvladError(f"'{kind}' is none of the built-in features: {', '.join(DIMS)}")
        return cls(kind, DIMS[kind], max_keypoints, max_side_px)

    @property
    def metric(self) -> str:
        """How descriptors are compared: cosine (normalised dot product) or hamming (bits)."""
        return 'hamming' if self.kind == 'orb' else 'cosine'

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the descriptors."""
        return np.dtype('<f2') if self.kind == 'onnx' else np.dtype('u1')

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in `map.yaml`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> FeatureSpec:
        """Read what `to_dict` wrote; other entries are ignored. Raises NetvladError."""
        try:
            dim, keypoints, side = numbers = [
                raw[name] for name in ('dim', 'max_keypoints', 'max_side_px')
            ]
            kind, model_id = texts = [raw['kind'], raw.get('model_id', '')]
        except (KeyError, TypeError, AttributeError) as error:
            raise NetvladError(f'the entry on local features is malformed: {error}') from error
        if not all(type(n) is int for n in numbers) or not all(isinstance(t, str) for t in texts):
            raise NetvladError('the entry on local features is malformed: a value is of no use')
        return cls(kind, dim, keypoints, side, model_id)


def no_features(spec: FeatureSpec) -> LocalFeatures:
    """The features of an image in which none were found."""
    return LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, spec.dim), spec.dtype))


def full_image_positions(
    positions: ArrayLike, shape: tuple[int, ...], full: tuple[int, ...]
) -> NDArray[np.float32]:
    """Scale positions from a resized image to the full image.

    Centres of pixels lie at whole numbers in both.

    Args:
        positions: (n, 2), x and y in the resized image [px].
        shape: (h, w, ...) of the resized image.
        full: (H, W, ...) of the full image.

    Returns:
        float32 (n, 2), x and y in the full image [px].
    """
    scale = np.array([full[1] / shape[1], full[0] / shape[0]])
    scaled = (np.asarray(positions, dtype=np.float64) + 0.5) * scale - 0.5
    return scaled.astype(np.float32).reshape(-1, 2)
