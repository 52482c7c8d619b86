"""Geometric verification: which look-alikes show the same scene, and where that puts the camera."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import FeatureExtractor
from netvlad_ros.core.features.local_features import LocalFeatures, no_features
from netvlad_ros.core.features.matching import match_features
from netvlad_ros.core.geometry import around
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.verification.candidates import VerificationBudget, candidates_to_verify
from netvlad_ros.core.verification.evidence import CandidateEvidence, GeometricPose, Verification
from netvlad_ros.core.verification.place_pose import MatchedImage, PlacePoseSolver

NEAR_DUPLICATE_SHARE = 0.1  # of a place's radius

__all__ = ['CandidateEvidence', 'GeometricPose', 'Verification', 'Verifier']


class Verifier:
    """Compares an image with the map images that look like it. The map must have features."""

    def __init__(
        self, place_map: PlaceMap, extractor: FeatureExtractor, config: LocalizerConfig
    ) -> None:
        if place_map.features is None:
            raise NetvladError('the map has no local features, so nothing can be verified on it')
        if place_map.features.spec != extractor.spec:
            raise NetvladError(
                f'the map has {place_map.features.spec.kind} features, the extractor finds others '
                f'({extractor.spec.kind}); open it from the map'
            )
        self._map, self._store = place_map, place_map.features
        self._extractor, self._config = extractor, config
        self._budget = VerificationBudget()
        self._camera: tuple[CameraModel, tuple[int, int], CameraModel] | None = None

    def verify(
        self,
        rgb: NDArray[np.uint8],
        camera: CameraModel | None,
        indices: NDArray[np.int64],
        place_of: NDArray[np.int64],
        *,
        time_left_ms: float = math.inf,
    ) -> Verification:
        """Verify the most telling candidates of rgb, uint8 (H, W, 3) RGB.

        camera: of the query, None where unknown. indices: int64 (k,), rows of the map, most similar
        first; place_of: int64 (k,), the place of each. Skipped, wholly or for the last candidates,
        where it would take longer than time_left_ms. Raises NetvladError if rgb is no such image.
        """
        wanted = candidates_to_verify(
            place_of,
            self._margin(indices),
            self._config.verify_candidates,
            self._near_duplicates(indices, place_of),
        )
        ranks = self._budget.affordable(wanted, place_of, time_left_ms)
        if not len(ranks):
            needed = self._budget.expected_ms(1, 1)
            self._budget.forget()
            note = f'skipped: verification takes {needed:.0f} ms, {time_left_ms:.0f} ms are left'
            return Verification((), (), note, no_features(self._store.spec))
        started = time.perf_counter()
        query = self._extractor.extract(rgb)
        extracted = time.perf_counter()
        candidates = [self._match(query, int(rank), int(indices[rank])) for rank in ranks]
        matched = time.perf_counter()
        size = rgb.shape[1], rgb.shape[0]
        solver = PlacePoseSolver(self._map, self._config, query, size, *self._known(camera, size))
        places = list(dict.fromkeys(place_of[ranks].tolist()))
        not_verified = set(place_of[wanted].tolist()) - set(places)
        found = [
            solver.solve(place, [c for c in candidates if place_of[c.rank] == place])
            for place in places
        ]
        solved = time.perf_counter()
        timings_ms = {
            'extract': 1e3 * (extracted - started),
            'match': 1e3 * (matched - extracted),
            'solve': 1e3 * (solved - matched),
        }
        self._budget.measured('extract', timings_ms['extract'])
        self._budget.measured('match', timings_ms['match'] / len(ranks))
        self._budget.measured('solve', timings_ms['solve'] / len(places))
        evidence = sorted((e for of_place, _ in found for e in of_place), key=lambda e: e.rank)
        poses = sorted((p for _, p in found if p is not None), key=lambda p: -p.inliers)
        return Verification(
            tuple(evidence),
            tuple(poses),
            solver.note,
            query,
            timings_ms,
            is_pose_expected=solver.is_pose_expected,
            views_needed=solver.views_needed,
            not_verified=tuple(sorted(not_verified)),
        )

    def _known(
        self, camera: CameraModel | None, size: tuple[int, int]
    ) -> tuple[CameraModel | None, str]:
        """The camera as it is for images of this size, or why it is not known."""
        if camera is None:
            return None, 'no camera_info'
        if self._camera is None or self._camera[:2] != (camera, size):  # the same for all a drive
            try:
                known = self._map.calibration_of(camera.resized(*size))
            except NetvladError as error:
                return None, str(error)
            self._camera = (camera, size, known)
        return self._camera[2], ''

    def _match(self, query: LocalFeatures, rank: int, index: int) -> MatchedImage:
        mapped = self._store.features(index)
        return MatchedImage(rank, index, match_features(query, mapped, self._store.spec.metric))

    def _near_duplicates(
        self, indices: NDArray[np.int64], place_of: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Images of the best place taken from about where a more similar one was."""
        near_duplicates = np.zeros(len(indices), dtype=bool)
        ranks = np.flatnonzero(place_of == place_of[0])
        T = self._map.T_map_cam[indices[ranks]]
        apart_m = NEAR_DUPLICATE_SHARE * self._config.radius_m(self._map.spacing_m)
        apart_deg = NEAR_DUPLICATE_SHARE * self._config.place_radius_deg
        chosen = 0
        for i in range(len(ranks)):
            if near_duplicates[ranks[i]]:
                continue
            chosen += 1
            if chosen == self._config.verify_candidates:
                break
            near = around(T, T[i], apart_m, apart_deg)
            near[: i + 1] = False
            near_duplicates[ranks[near]] = True
        return near_duplicates

    def _margin(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        T = self._map.T_map_cam[indices]
        radius_m = self._config.radius_m(self._map.spacing_m)
        return around(T, T[0], 2 * radius_m, 2 * self._config.place_radius_deg)
