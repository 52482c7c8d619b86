"""FeatureChoice: which local features a new map keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import FeatureExtractor, open_extractor
from netvlad_ros.core.features.feature_bundle import read_feature_metadata
from netvlad_ros.core.features.local_features import (
    DEFAULT_KEYPOINTS,
    DEFAULT_MAX_SIDE_PX,
    MODEL_KEYPOINTS,
    FeatureSpec,
)
from netvlad_ros.core.model.bundle import ModelBundle


@dataclass(frozen=True)
class FeatureChoice:
    """Which local features a map keeps; the model of the map decides what the default is.

    Attributes:
        kind: 'none'; 'sift' or 'orb'; 'model', those that the model answers itself; 'onnx', those
            of a feature bundle; or 'default', those of the model where it answers some, else SIFT.
        max_keypoints: features that an image keeps at most; None: MODEL_KEYPOINTS of a model,
            DEFAULT_KEYPOINTS of other kinds.
        max_side_px: longer side [px] of the images that features are sought in; None:
            DEFAULT_MAX_SIDE_PX. A model has its own working size.
        feature_model: the feature bundle; of kind 'onnx' only.
    """

    kind: str = 'none'
    max_keypoints: int | None = None
    max_side_px: int | None = None
    feature_model: Path | None = None

    def extractor(self, bundle: ModelBundle) -> FeatureExtractor | None:
        """The extractor for a map of this model; None without features. Raises NetvladError."""
        kind = self.kind
        if kind == 'default':
            kind = 'sift' if bundle.metadata.local is None else 'model'
        if kind == 'none':
            return None
        if kind == 'model':
            return open_extractor(self._of_model(bundle), bundle=bundle)
        keypoints = self.max_keypoints or DEFAULT_KEYPOINTS
        side_px = self.max_side_px or DEFAULT_MAX_SIDE_PX
        if self.feature_model is None:
            spec = FeatureSpec.built_in(kind, max_keypoints=keypoints, max_side_px=side_px)
            return open_extractor(spec)
        spec = read_feature_metadata(self.feature_model).spec(keypoints, side_px)
        return open_extractor(spec, model=self.feature_model)

    def _of_model(self, bundle: ModelBundle) -> FeatureSpec:
        spec = FeatureSpec.of_model(bundle.metadata, self.max_keypoints or MODEL_KEYPOINTS)
        if self.max_side_px is not None:
            raise NetvladError(
                f'the model finds its local features in images of its own size, '
                f'{spec.max_side_px} px; leave out --max-side, or choose other features'
            )
        return spec
