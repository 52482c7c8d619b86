"""GeometricReranked: the best places of a ranking, compared by local features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import FeatureSpec, LocalFeatures
from netvlad_ros.core.features.model_extractor import ModelExtractor
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.verification.reranking import (
    RERANKED,
    RerankWeights,
    SizedFeatures,
    rerank,
)
from netvlad_ros.offline.bundles.default_model import default_model
from netvlad_ros.offline.methods.extraction_cache import ExtractionCache
from netvlad_ros.offline.methods.method import MethodContext
from netvlad_ros.offline.methods.recipe import CosineIndex, Index, Vector


@dataclass(frozen=True)
class AnalysedImage:
    """One pass of a model over an image.

    Attributes:
        descriptor: float32 (D,), of unit length.
        features: its local features.
    """

    descriptor: Vector
    features: SizedFeatures


class ImageAnalyser:
    """Descriptor and local features of images, by one pass of a model each.

    Attributes:
        metric: of the local descriptors, see FeatureSpec.
    """

    def __init__(self, bundle: ModelBundle) -> None:
        """Check that the model answers local features.

        Args:
            bundle: the model. As many keypoints of an image are kept as in a map.

        Raises:
            NetvladError: it answers none.
        """
        if bundle.metadata.local is None:
            raise NetvladError(
                f'{bundle.path} answers no local features, by which candidates are reranked: name '
                'a model that does (`netvlad inspect` tells), or rank by the descriptor alone'
            )
        spec = FeatureSpec.of_model(bundle.metadata)
        self.metric = spec.metric
        self._extractor = ModelExtractor(spec, bundle)

    def __call__(self, rgb: NDArray[np.uint8]) -> AnalysedImage:
        """Analyse rgb, uint8 (H, W, 3) RGB. Raises NetvladError if it is no such image."""
        descriptor, features = self._extractor.analyse(rgb)
        return AnalysedImage(descriptor, SizedFeatures(features, max(rgb.shape[:2])))


def reranked_log_odds(
    query: AnalysedImage,
    cosines: NDArray[np.floating],
    features_of: Callable[[int], SizedFeatures],
    metric: str,
    left_out: Sequence[int] = (),
) -> NDArray[np.float64]:
    """Log odds (N,) of all places: by similarity, of the most similar ones by inliers too.

    Args:
        query: the query.
        cosines: (N,), to all places.
        features_of: row -> features of the place.
        metric: of the local descriptors.
        left_out: rows that are not compared.
    """
    weights = RerankWeights()
    log_odds = weights.similarity * cosines.astype(np.float64)
    compared = np.argsort(-cosines, kind='stable')[: RERANKED + len(left_out)]
    compared = compared[~np.isin(compared, left_out)][:RERANKED]
    candidates = [features_of(int(row)) for row in compared]
    order, values = rerank(query.features, candidates, cosines[compared], metric, weights)
    log_odds[compared[order]] = values
    return log_odds


class GeometricReranked:
    """The robot's descriptor, its most similar places reranked by similarity and inliers.

    Source: Sarlin et al., CVPR 2019 (one network for both); the weights are our own.
    """

    def __init__(self, bundle: ModelBundle, cache: ExtractionCache | None = None) -> None:
        """Use a model.

        Args:
            bundle: the model.
            cache: of extractions; None = nothing is stored.

        Raises:
            NetvladError: the model answers no local features.
        """
        self._analyse = ImageAnalyser(bundle)
        self._kind = f'analysis {bundle.metadata.model_id}'
        self._cache = cache or ExtractionCache()

    @classmethod
    def of(cls, context: MethodContext) -> GeometricReranked:
        """With the bundle of a context. Raises NetvladError if that does not load."""
        bundle = ModelBundle.load(
            context.model or default_model(), device='cpu', threads=context.threads
        )
        return cls(bundle, context.cache)

    def fit(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Nothing to learn."""

    def describe(self, rgb: NDArray[np.uint8]) -> AnalysedImage:
        """Describe rgb, uint8 (H, W, 3)."""
        descriptor, keypoints, rows = self._cache.of(self._kind, rgb, lambda: self._found(rgb))
        features = LocalFeatures(keypoints, rows)
        return AnalysedImage(descriptor, SizedFeatures(features, max(rgb.shape[:2])))

    def index(self, database: list[AnalysedImage]) -> Index:
        """Make images searchable."""
        return RerankingIndex(database, self._analyse.metric)

    def _found(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        found = self._analyse(rgb)
        features = found.features.features
        return found.descriptor, features.keypoints, features.descriptors


class RerankingIndex:
    """Unit vectors compared by cosine, the best of them by local features too."""

    def __init__(self, database: list[AnalysedImage], metric: str) -> None:
        self._features = [image.features for image in database]
        self._metric = metric
        cosines = CosineIndex([image.descriptor for image in database])
        self._vectors = cosines.vectors
        local = (each.features for each in self._features)
        sizes = [each.keypoints.nbytes + each.descriptors.nbytes for each in local]
        self.bytes_per_place = cosines.bytes_per_place + float(np.mean(sizes or [0]))

    def rows(self, queries: list[AnalysedImage]) -> Iterable[NDArray[Any]]:
        """Yield log odds."""
        for query in queries:
            cosines = self._vectors @ query.descriptor
            yield reranked_log_odds(query, cosines, self._features.__getitem__, self._metric)
