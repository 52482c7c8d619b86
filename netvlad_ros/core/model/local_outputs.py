"""LocalOutputs: the outputs of a model bundle that answer local features, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.image_analysis import RawFeatures

MAX_LOCAL_DIM = 1024
MAX_KEYPOINTS = 8_000  # two images with so many need half a gigabyte for matching
PADDING_LENGTH = 1e-6  # a local descriptor that is shorter belongs to no keypoint
UNIT_TOLERANCE = 1e-2  # of the length of a local descriptor; half precision rounds


@dataclass(frozen=True)
class LocalOutputs:
    """The metadata entry `local` of a model bundle.

    For N images the graph answers K <= max_keypoints keypoints an image, strongest first. A row of
    zeros among the descriptors is padding.

    Attributes:
        keypoints: name of the output float32 (N, K, 2), x and y in pixels of the input; centres of
            pixels lie at whole numbers.
        scores: name of the output float32 (N, K), higher is stronger.
        descriptors: name of the output float32 (N, K, dim), rows of unit length.
        dim: columns of the local descriptors.
        max_keypoints: largest K.
    """

    keypoints: str
    scores: str
    descriptors: str
    dim: int
    max_keypoints: int

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> LocalOutputs:
        """Read the metadata entry.

        Raises:
            KeyError, TypeError, ValueError: an entry is missing or wrong.
        """
        keypoints, scores, descriptors = raw['keypoints'], raw['scores'], raw['descriptors']
        names = [keypoints, scores, descriptors]
        if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
            raise ValueError('local: keypoints, scores and descriptors name three outputs')
        dim, most = raw['dim'], raw['max_keypoints']
        if type(dim) is not int or not 1 <= dim <= MAX_LOCAL_DIM:
            raise ValueError(f'local: dim {dim} is outside 1..{MAX_LOCAL_DIM}')
        if type(most) is not int or not 1 <= most <= MAX_KEYPOINTS:
            raise ValueError(f'local: max_keypoints {most} is outside 1..{MAX_KEYPOINTS}')
        return cls(keypoints, scores, descriptors, dim, most)

    @property
    def names(self) -> list[str]:
        """The graph's outputs, in the order of the arguments of `features`."""
        return [self.keypoints, self.scores, self.descriptors]

    def features(
        self,
        keypoints: NDArray[Any],
        scores: NDArray[Any],
        descriptors: NDArray[Any],
        size: tuple[int, int],
        model: str,
    ) -> RawFeatures:
        """Check what the graph answered to one image, and remove the padding.

        Args:
            keypoints: the output for N = 1.
            scores: the output for N = 1.
            descriptors: the output for N = 1.
            size: height and width of the input [px].
            model: names the model in errors.

        Raises:
            NetvladError: an output is not what the metadata promises, is not finite, or lies
                outside the image.
        """
        answers = (keypoints, scores, descriptors)
        count = keypoints.shape[1] if keypoints.ndim == 3 else 0
        shapes = ((1, count, 2), (1, count), (1, count, self.dim))
        for name, answer, shape in zip(self.names, answers, shapes, strict=True):
            if answer.dtype != np.float32 or answer.shape != shape:
                raise NetvladError(
                    f"{model} answered the local output '{name}' with {answer.dtype} "
                    f'{answer.shape}, its metadata promises float32 {shape}'
                )
        if count > self.max_keypoints:
            raise NetvladError(
                f'{model} answered {count} keypoints, its metadata promises at most '
                f'{self.max_keypoints}'
            )
        points, strengths, rows = (answer[0].astype(np.float64) for answer in answers)
        lengths = np.linalg.norm(rows, axis=1)
        real = np.flatnonzero(~(lengths < PADDING_LENGTH))  # NaN is no padding
        order = real[np.argsort(-strengths[real], kind='stable')]
        found = RawFeatures(points[order], rows[order], strengths[order])
        for name, numbers in zip(
            self.names, (found.keypoints, found.scores, found.rows), strict=True
        ):
            if not np.isfinite(numbers).all():
                raise NetvladError(
                    f"{model} answered the local output '{name}' with NaN or infinite numbers"
                )
        height, width = size
        limit = np.array([width, height]) - 0.5
        if not ((found.keypoints >= -0.5) & (found.keypoints <= limit)).all():
            raise NetvladError(
                f'{model} answered keypoints outside the image of {width}x{height} px'
            )
        lengths = lengths[order]
        if (np.abs(lengths - 1) > UNIT_TOLERANCE).any():
            worst = lengths[np.abs(lengths - 1).argmax()]
            raise NetvladError(f'{model} answered a local descriptor of length {worst:.3g}, not 1')
        return RawFeatures(found.keypoints, found.rows / lengths[:, None], found.scores)
