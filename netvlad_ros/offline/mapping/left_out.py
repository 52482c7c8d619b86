"""Covariances of a map by itself: keyframes localized without themselves and their neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.decision.measurement_model import MeasurementModel
from netvlad_ros.core.features.extractor import FeatureExtractor
from netvlad_ros.core.geometry import Array, around, distance_m
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.retrieval import Candidates, ExactSearch, group
from netvlad_ros.core.verification.verifier import Verifier
from netvlad_ros.offline.mapping.covariance_fit import fit_covariance
from netvlad_ros.offline.mapping.landmark_tracks import LandmarkTracks
from netvlad_ros.offline.metrics.uncertainty import pose_residuals
from netvlad_ros.offline.progress import Progress, no_progress

# Radius around a keyframe within which the others are left out, as a share of a place's radius.
# Successive keyframes take turns. Another drive passes the keyframes at any of these distances.
# Measured in a kitchen with a keyframe every 7 cm, on the other half of the drive:
#   left out                     share inside the 95 % bound
#   the keyframe alone           0.89
#   also 1, 2, 4 on each side    0.93, 0.95, 0.98
WINDOWS = (0.1, 0.2, 0.4)
# How many keyframes are localized, evenly spread: a share of all, at least and at most so many. One
# costs about as much as half the description of one image.
SHARE, LEAST, MOST = 0.5, 40, 300
MIN_KEYFRAMES = 8
LIKELY = 0.5  # estimates that are less probable are never published
# Assumption about what no map knows: the poses and views of another drive differ from those of the
# map's own. It adds this standard deviation to log(NEES).
ANOTHER_DRIVE = 0.5


def own_calibration(
    place_map: PlaceMap,
    of_model: SimilarityCalibration,
    extractor: FeatureExtractor,
    *,
    progress: Progress = no_progress,
) -> MapCalibration | None:
    """Covariances of poses from landmarks, from the map's own keyframes.

    Keyframes, see SHARE, are localized with their stored features. Each one is localized on
    the map without it and without the keyframes around it. Landmarks are triangulated without these
    keyframes, too. Errors against the keyframes' own poses give floors and scale.

    Args:
        place_map: a map with landmarks.
        of_model: what a similarity means.
        extractor: of the map's features; it is not run.
        progress: called with (keyframes localized, in all).

    Returns:
        None if fewer than MIN_KEYFRAMES were localized.
    """
    left_out = _LeftOut(place_map, of_model, extractor)
    n = len(place_map)
    count = min(n, MOST, max(LEAST, int(SHARE * n)))
    chosen = np.linspace(0, n - 1, count).round().astype(np.int64)
    residuals, covariances = [], []
    for done, keyframe in enumerate(chosen.tolist()):
        progress(done, len(chosen))
        found = left_out.localize(keyframe, WINDOWS[done % len(WINDOWS)])
        if found is not None:
            residuals.append(found[0])
            covariances.append(found[1])
    progress(len(chosen), len(chosen))
    if len(residuals) < MIN_KEYFRAMES:
        return None
    law = fit_covariance(
        'landmarks', np.array(residuals), np.array(covariances), unseen_spread=ANOTHER_DRIVE
    )
    default = MapCalibration()
    return replace(
        default,
        scale={**default.scale, 'landmarks': law.scale},
        sigma_m={**default.sigma_m, 'landmarks': law.sigma_m},
        sigma_deg={**default.sigma_deg, 'landmarks': law.sigma_deg},
        images=len(residuals),
        source='the keyframes of the map',
        created=place_map.created,
    )


class _LeftOut:
    """Localizes keyframes of a map on the rest of it, as the localizer would."""

    def __init__(
        self, place_map: PlaceMap, of_model: SimilarityCalibration, extractor: FeatureExtractor
    ) -> None:
        assert place_map.features is not None
        assert place_map.camera is not None
        self._map, self._extractor = place_map, extractor
        self._features, self._camera = place_map.features, place_map.camera
        self._tracks = LandmarkTracks.of(self._features, place_map.T_map_cam, self._camera)
        self._search = ExactSearch(place_map.descriptors)
        # The map's own camera agrees with its landmarks.
        self._config = LocalizerConfig(camera_check='trust')
        radius_m = self._config.radius_m(place_map.spacing_m)
        self._model = MeasurementModel(
            of_model, MapCalibration(), radius_m, self._config.place_radius_deg
        )
        # Only the size of an image counts where its features are known.
        self._blank = np.broadcast_to(np.uint8(0), (self._camera.height, self._camera.width, 3))

    def localize(self, keyframe: int, window: float) -> tuple[Array, Array] | None:
        """Residual (6,) and covariance (6, 6) of a keyframe's pose; None without a likely pose."""
        T_true = self._map.T_map_cam[keyframe]
        apart_m = distance_m(self._map.T_map_cam, T_true)
        hidden = np.flatnonzero(apart_m <= window * self._model.radius_m)
        candidates = self._retrieve(keyframe, hidden)
        if candidates is None:
            return None
        rest = replace(self._map, features=self._tracks.without(hidden))
        verification = Verifier(rest, self._extractor, self._config).verify(
            self._blank,
            self._camera,
            candidates.indices,
            candidates.place_of,
            similarity_log_odds=self._model.rival_log_odds(candidates.similarity),
            features=self._features.features(keyframe),
        )
        observation = self._model.observe(
            candidates, verification, edge_share=1.0, shows_something=True, note=''
        )
        hypotheses = self._model.hypotheses(observation)
        pose = observation.pose_of_place.get(hypotheses.best)
        if pose is None or hypotheses.probability[hypotheses.best] < LIKELY:
            return None
        T = pose.T_map_cam[np.newaxis]
        if not around(T, T_true, self._model.radius_m, self._model.radius_deg)[0]:
            return None  # another place: the probability covers that
        return pose_residuals(T, T_true[np.newaxis])[0], pose.covariance

    def _retrieve(self, keyframe: int, hidden: NDArray[np.int64]) -> Candidates | None:
        """Similar keyframes that are not hidden; None if there are none."""
        descriptor = self._map.descriptors[keyframe]
        depth = self._config.search_depth + len(hidden)
        indices, similarity = self._search.search(descriptor, depth)
        shown = ~np.isin(indices, hidden)
        indices, similarity = indices[shown], similarity[shown]
        if not len(indices):
            return None
        T_map_cam = self._map.T_map_cam[indices]
        place_of = group(T_map_cam, self._model.radius_m, self._model.radius_deg)
        return Candidates(descriptor, indices, similarity, T_map_cam, place_of)
