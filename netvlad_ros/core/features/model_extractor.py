"""ModelExtractor: the local features that a model bundle answers beside its descriptor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import (
    FeatureSpec,
    LocalFeatures,
    full_image_positions,
    stored_rows,
)
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.model.image_analysis import RawFeatures


class ModelExtractor:
    """Runs a model bundle once an image, for its descriptor and its local features."""

    def __init__(self, spec: FeatureSpec, bundle: ModelBundle) -> None:
        """Check that the features are those of the model.

        Args:
            spec: features to find; it names the model.
            bundle: the model.

        Raises:
            NetvladError: the bundle is not the model of the spec, or has no local features.
        """
        self.spec = spec
        made = FeatureSpec.of_model(bundle.metadata, spec.max_keypoints)
        if made != spec:
            raise NetvladError(
                f'the local features are those of the model {spec.model_id[:12]} with {spec.dim} '
                f'columns, {bundle.path} is {made.model_id[:12]} with {made.dim}; name the right '
                'model'
            )
        self._bundle = bundle

    def extract(self, rgb: NDArray[np.uint8]) -> LocalFeatures:
        """Features of rgb, uint8 (H, W, 3) RGB.

        Raises:
            NetvladError: rgb is no such image, or the answer is not what the metadata promises.
        """
        return self.analyse(rgb)[1]

    def analyse(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float32], LocalFeatures]:
        """Descriptor, float32 (D,), and features of rgb; for errors see extract()."""
        analysis = self._bundle.analyse(rgb)
        assert analysis.features is not None  # or there would be no spec
        features = full_image_features(analysis.features, self.spec, analysis.size, rgb.shape)
        return analysis.descriptor, features


def full_image_features(
    found: RawFeatures, spec: FeatureSpec, size: tuple[int, ...], full: tuple[int, ...]
) -> LocalFeatures:
    """The strongest features that a network found in a resized image, for the full image.

    Args:
        found: what the network answered, strongest first.
        spec: of the features.
        size: (h, w, ...) of the resized image.
        full: (H, W, ...) of the full image.
    """
    kept = slice(spec.max_keypoints)
    positions = full_image_positions(found.keypoints[kept], size, full)
    return LocalFeatures(positions, stored_rows(found.rows[kept], spec))
