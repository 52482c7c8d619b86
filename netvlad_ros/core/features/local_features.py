"""LocalFeatures of an image, and FeatureSpec: how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.local_outputs import MAX_KEYPOINTS, MAX_LOCAL_DIM

if TYPE_CHECKING:
    from netvlad_ros.core.model.metadata import ModelMetadata

OF_NETWORKS = ('onnx', 'model')  # kinds of features that an ONNX file answers
# Nearest to second nearest distance of a match, at most. Bits separate right from wrong matches
# less well, and so do descriptors that are sampled from a smooth map.
RATIOS = {'sift': 0.8, 'orb': 0.85, 'onnx': 0.8, 'model': 0.95}
# Landmarks must be right: what is wrong in them is wrong for every image that is localized later.
LANDMARK_RATIOS = {**RATIOS, 'model': 0.8}
DIMS = {'sift': 128, 'orb': 32}  # columns of the built-in descriptors
DEFAULT_KEYPOINTS = 1000
# Factor on the limits of inliers. With 0.65 the poses of redkitchen and KITTI have smaller errors
# than with 1, and fewer images get one.
INLIER_FACTORS = {'sift': 1.0, 'orb': 1.0, 'onnx': 1.0, 'model': 0.65}
# With 64 columns a feature takes 76 bytes: descriptor, position, landmark. So many, with the
# descriptor of the place, its thumbnail and its landmarks, take about 60 kB a keyframe.
MODEL_KEYPOINTS = 650
MODEL_ASPECT = 3 / 4  # height to width of the image whose longer side is max_side_px
INT8_SCALE = 256  # a component of 64 columns is 1/8 on average; those above 0.5 are clipped
# 480 takes a third less time than 640. With a VGA camera it gives as many inliers.
DEFAULT_MAX_SIDE_PX = 480
LEAST_MAX_SIDE_PX, MOST_MAX_SIDE_PX = 64, 4096  # range of FeatureSpec.max_side_px


@dataclass(frozen=True)
class LocalFeatures:
    """Keypoints of an image and their descriptors, strongest first.

    Attributes:
        keypoints: float32 (n, 2), x and y [px of the full image].
        descriptors: (n, D). sift: uint8, 512 times RootSIFT, clipped. orb: uint8, 8 bits each.
            onnx, model: int8, INT8_SCALE times a unit row, clipped; see stored_rows.

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
        kind: 'sift', 'orb', 'onnx' (of a feature bundle), or 'model' (of the model bundle itself).
        dim: columns of the descriptors.
        max_keypoints: number of keypoints that an image keeps at most, the strongest.
        max_side_px: images are shrunk for the search so that the longer side is at most this [px];
            model: the longer side of the working size.
        model_id: of the bundle, SHA-256 in hex; '' for sift and orb.
        precision: of the rows of onnx and model: 'int8', or 'float16' in maps of earlier versions.
    """

    kind: str
    dim: int
    max_keypoints: int = DEFAULT_KEYPOINTS
    max_side_px: int = DEFAULT_MAX_SIDE_PX
    model_id: str = ''
    precision: str = 'int8'

    def __post_init__(self) -> None:
        problem = None
        if self.kind not in (*DIMS, *OF_NETWORKS):
            problem = f"the kind '{self.kind}' is none of sift, orb, onnx, model"
        elif not 1 <= self.dim <= MAX_LOCAL_DIM or self.dim != DIMS.get(self.kind, self.dim):
            problem = f'{self.dim} columns are not what {self.kind} features have'
        elif not 1 <= self.max_keypoints <= MAX_KEYPOINTS:
            problem = f'max_keypoints {self.max_keypoints} is outside 1..{MAX_KEYPOINTS}'
        elif not LEAST_MAX_SIDE_PX <= self.max_side_px <= MOST_MAX_SIDE_PX:
            allowed = f'{LEAST_MAX_SIDE_PX}..{MOST_MAX_SIDE_PX}'
            problem = f'max_side_px {self.max_side_px} is outside {allowed}'
        elif (self.kind in OF_NETWORKS) != bool(self.model_id):
            problem = 'features of an ONNX bundle, and only they, have a model id'
        elif self.precision not in ('int8', 'float16'):
            problem = f"the precision '{self.precision}' is neither int8 nor float16"
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

    @classmethod
    def of_model(cls, metadata: ModelMetadata, max_keypoints: int = MODEL_KEYPOINTS) -> FeatureSpec:
        """Features that a model answers itself. Raises NetvladError if it answers none."""
        local = metadata.local
        if local is None:
            raise NetvladError(
                f'the model {metadata.name} answers no local features; choose sift, orb or a '
                'feature bundle (.onnx), or a model that answers some'
            )
        longer = max(metadata.preprocessing.height, metadata.preprocessing.width)
        count = min(max_keypoints, local.max_keypoints)
        return cls('model', local.dim, count, longer, metadata.model_id)

    @property
    def metric(self) -> str:
        """How descriptors are compared: cosine (normalised dot product) or hamming (bits)."""
        return 'hamming' if self.kind == 'orb' else 'cosine'

    def scale(self, width: int, height: int) -> float:
        """How many pixels of an image one pixel is in which keypoints are sought, at least 1.

        A model's working size has the same area for every aspect ratio, see MODEL_ASPECT.
        """
        if self.kind != 'model':
            return max(1.0, max(width, height) / self.max_side_px)
        area = MODEL_ASPECT * self.max_side_px**2
        return max(1.0, float(np.sqrt(width * height / area)))

    @property
    def inlier_factor(self) -> float:
        """Factor on the largest distance of an inlier from where it should be."""
        return INLIER_FACTORS[self.kind]

    @property
    def ratio(self) -> float:
        """Largest distance of a match, as a share of that to the second nearest keypoint."""
        return RATIOS[self.kind]

    @property
    def landmark_ratio(self) -> float:
        """The same for matches that landmarks are made of."""
        return LANDMARK_RATIOS[self.kind]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the descriptors."""
        if self.kind in DIMS:
            return np.dtype('u1')
        return np.dtype('<f2') if self.precision == 'float16' else np.dtype('i1')

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in `map.yaml`."""
        values = asdict(self)
        if self.kind in DIMS or self.precision == 'float16':
            del values['precision']  # maps of earlier versions keep their text and their id
        return values

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> FeatureSpec:
        """Read what `to_dict` wrote; other entries are ignored. Raises NetvladError."""
        try:
            dim, keypoints, side = numbers = [
                raw[name] for name in ('dim', 'max_keypoints', 'max_side_px')
            ]
            kind, model_id = raw['kind'], raw.get('model_id', '')
            precision = raw.get('precision', 'float16' if kind in OF_NETWORKS else 'int8')
            texts = [kind, model_id, precision]
        except (KeyError, TypeError, AttributeError) as error:
            raise NetvladError(f'the entry on local features is malformed: {error}') from error
        if not all(type(n) is int for n in numbers) or not all(isinstance(t, str) for t in texts):
            raise NetvladError('the entry on local features is malformed: a value is of no use')
        return cls(kind, dim, keypoints, side, model_id, precision)


def stored_rows(unit_rows: NDArray[np.float64], spec: FeatureSpec) -> NDArray[Any]:
    """Descriptors of a network, float64 (n, D) of unit rows, as a map stores them."""
    if spec.precision == 'float16':
        return unit_rows.astype(spec.dtype)
    return np.clip(np.rint(INT8_SCALE * unit_rows), -127, 127).astype(spec.dtype)


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
