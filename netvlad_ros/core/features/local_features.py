"""Local features of one image, and what a map says about how its own were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.errors import NetvladError

DIMS = {'sift': 128, 'orb': 32}  # columns of the descriptors that are built in
DEFAULT_KEYPOINTS = 1000  # of an image, unless asked otherwise
DEFAULT_MAX_SIDE_PX = 480  # a third less time than 640, and as many inliers of a VGA camera
MAX_DIM = 1024
MAX_KEYPOINTS = 8_000  # two images of so many take half a gigabyte to match
LEAST_MAX_SIDE_PX, MOST_MAX_SIDE_PX = 64, 4096  # range of FeatureSpec.max_side_px


@dataclass(frozen=True)
class LocalFeatures:
    """Keypoints of an image, float32 (n, 2) [px of the full image], strongest first.

    descriptors (n, D): sift: uint8, 512 times RootSIFT (Arandjelovic and Zisserman, 2012, "Three
    things everyone should know to improve object retrieval"), clipped; orb: uint8, 8 bits each;
    onnx: float16, rows of unit length.
    """

    keypoints: NDArray[np.float32]
    descriptors: NDArray[Any]

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True)
class FeatureSpec:
    """Which features: an extractor is opened from it, and a map keeps it.

    kind: sift, orb or onnx. dim: columns of the descriptors. max_keypoints: the strongest that an
    image keeps. max_side_px: images are shrunk so that the longer side is at most this before
    keypoints are sought. model_id: of an ONNX bundle, SHA-256 in hex.
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
        """How descriptors compare: cosine (normalised dot product), or hamming (differing bits)."""
        return 'hamming' if self.kind == 'orb' else 'cosine'

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the descriptors."""
        return np.dtype('<f2') if self.kind == 'onnx' else np.dtype('u1')

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `map.yaml` keeps them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> FeatureSpec:
        """Read what `to_dict` wrote; other entries are left alone. Raises NetvladError."""
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
    """Of an image in which nothing was found."""
    return LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, spec.dim), spec.dtype))


def full_image_positions(
    positions: ArrayLike, shape: tuple[int, ...], full: tuple[int, ...]
) -> NDArray[np.float32]:
    """Positions (n, 2) in an image of a shape (h, w, ...) as they are in the full image.

    Pixel centres sit at whole numbers in both.
    """
    scale = np.array([full[1] / shape[1], full[0] / shape[0]])
    scaled = (np.asarray(positions, dtype=np.float64) + 0.5) * scale - 0.5
    return scaled.astype(np.float32).reshape(-1, 2)
