"""FeatureExtractor: SIFT, ORB, an ONNX bundle, or the model bundle itself."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import FeatureSpec, LocalFeatures
from netvlad_ros.core.features.model_extractor import ModelExtractor
from netvlad_ros.core.features.sift_orb import OrbExtractor, SiftExtractor
from netvlad_ros.core.model.bundle import ModelBundle


class FeatureExtractor(Protocol):
    """Finds keypoints and describes them; the map and the robot use the same one."""

    spec: FeatureSpec

    def extract(self, rgb: NDArray[np.uint8]) -> LocalFeatures:
        """Features of rgb, uint8 (H, W, 3) RGB. Raises NetvladError if it is no such image."""
        ...


def open_extractor(
    spec: FeatureSpec,
    *,
    bundle: ModelBundle | None = None,
    model: Path | None = None,
    device: str = 'cpu',
) -> FeatureExtractor:
    """Open the extractor of a kind of features.

    Args:
        spec: the features.
        bundle: the model whose own features kind 'model' are; not used otherwise.
        model: the feature bundle of kind 'onnx'; not used otherwise.
        device: of the feature bundle; sift and orb run on the CPU.

    Raises:
        NetvladError: the bundle is missing, is not the one of the spec, or does not work.
    """
    if spec.kind == 'sift':
        return SiftExtractor(spec)
    if spec.kind == 'orb':
        return OrbExtractor(spec)
    if spec.kind == 'model':
        if bundle is None:
            raise NetvladError(
                f'the local features are those of the model {spec.model_id[:12]} itself; name it'
            )
        return ModelExtractor(spec, bundle)
    from netvlad_ros.core.features.onnx_extractor import OnnxExtractor

    if model is None:
        raise NetvladError(
            f'the local features are those of the model {spec.model_id[:12]}; '
            'name the file of its feature bundle'
        )
    return OnnxExtractor(spec, model, device)
