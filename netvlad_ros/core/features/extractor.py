"""FeatureExtractor: SIFT, ORB, or an ONNX bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import FeatureSpec, LocalFeatures
from netvlad_ros.core.features.sift_orb import OrbExtractor, SiftExtractor


class FeatureExtractor(Protocol):
    """Finds keypoints and describes them; the map and the robot use the same one."""

    spec: FeatureSpec

    def extract(self, rgb: NDArray[np.uint8]) -> LocalFeatures:
        """Features of rgb, uint8 (H, W, 3) RGB. Raises NetvladError if it is no such image."""
        ...


def open_extractor(
    spec: FeatureSpec, *, model: Path | None = None, device: str = 'cpu'
) -> FeatureExtractor:
    """Open the extractor of a kind of features.

    Args:
        spec: the features.
        model: the feature bundle that the spec names; None for sift and orb.
        device: of the bundle; sift and orb run on the CPU.

    Raises:
        NetvladError: the bundle is missing, is not the one of the spec, or does not work.
    """
    if spec.kind == 'sift':
        return SiftExtractor(spec)
    if spec.kind == 'orb':
        return OrbExtractor(spec)
    from netvlad_ros.core.features.onnx_extractor import OnnxExtractor

    if model is None:
        raise NetvladError(
            f'the local features are those of the model {spec.model_id[:12]}; '
            'name the file of its feature bundle'
        )
    return OnnxExtractor(spec, model, device)
