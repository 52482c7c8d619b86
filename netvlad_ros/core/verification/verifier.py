"""Verifier: which candidates show the same scene as an image, and the poses that follow."""

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
from netvlad_ros.core.verification.camera_checks import CameraChecks
from netvlad_ros.core.verification.candidates import VerificationBudget, candidates_to_verify
from netvlad_ros.core.verification.checked_camera import CheckedCamera, checked_camera, look
from netvlad_ros.core.verification.evidence import Verification
from netvlad_ros.core.verification.matched_image import MatchedImage
from netvlad_ros.core.verification.place_pose import PlacePoseSolver
from netvlad_ros.core.verification.screening import first_places, screen_places

NEAR_DUPLICATE_SHARE = 0.1  # of a place's radius: nearer images are near duplicates


class Verifier:
    """Compares the local features of an image with those of similar map images."""

    def __init__(
        self,
        place_map: PlaceMap,
        extractor: FeatureExtractor,
        config: LocalizerConfig,
        checks: CameraChecks | None = None,
    ) -> None:
        """Prepare for the images of a map.

        Args:
            place_map: a map with features.
            extractor: makes the same features as the map has.
            config: verify_candidates, the radii of a place and the limits of inliers are used.
            checks: of the cameras; None: nothing is known of them yet.

        Raises:
            NetvladError: the map has no features, or others than the extractor.
        """
        if place_map.features is None:
            raise NetvladError('the map has no local features, so nothing can be verified on it')
        if place_map.features.spec != extractor.spec:
            raise NetvladError(
                f'the map has {place_map.features.spec.kind} features, the extractor finds others '
                f'({extractor.spec.kind}); open it from the map'
            )
        self._map, self._store = place_map, place_map.features
        self._extractor, self._config = extractor, config
        self._checks = checks or CameraChecks()
        self._budget = VerificationBudget()
        self._camera: tuple[CameraModel, tuple[int, int], CameraModel] | None = None

    def verify(
        self,
        rgb: NDArray[np.uint8],
        camera: CameraModel | None,
        indices: NDArray[np.int64],
        place_of: NDArray[np.int64],
        *,
        similarity_log_odds: NDArray[np.float64] | None = None,
        features: LocalFeatures | None = None,
        camera_name: str = '',
        time_left_ms: float = math.inf,
    ) -> Verification:
        """Verify the most informative candidates of an image, as far as the time allows.

        Args:
            rgb: uint8 (H, W, 3), RGB.
            camera: calibration of the image; None if unknown.
            indices: int64 (k,), rows of the map, most similar first.
            place_of: int64 (k,), place of each candidate, see retrieval.Candidates.
            similarity_log_odds: (k,), of the candidates against each other. With `features` it
                orders the places together with a quick comparison of their local features; None:
                the most similar place comes first.
            features: those of the image, where they are known already; None: they are extracted.
            camera_name: name of the camera, whose calibration is checked by itself.
            time_left_ms: time that verification may take [ms]; the last candidates or all are
                skipped if they would take longer.

        Raises:
            NetvladError: rgb is no such image.
        """
        started = time.perf_counter()
        places = first_places(place_of)
        if features is not None and similarity_log_odds is not None and len(places) > 1:
            mapped = [self._store.features(int(indices[place])) for place in places]
            metric = self._store.spec.metric
            places = screen_places(place_of, similarity_log_odds, features, mapped, metric)
            time_left_ms -= 1e3 * (time.perf_counter() - started)
        best = int(places[0])
        wanted = candidates_to_verify(
            place_of,
            places,
            self._margin(indices, best),
            self._config.verify_candidates,
            self._near_duplicates(indices, place_of, best),
        )
        known = features is not None
        ranks = self._budget.affordable(wanted, place_of, time_left_ms, extracted=known)
        if not len(ranks):
            needed = self._budget.expected_ms(1, 1, extracted=known)
            self._budget.forget()
            note = f'skipped: verification takes {needed:.0f} ms, {time_left_ms:.0f} ms are left'
            return Verification((), (), note, no_features(self._store.spec))
        started = time.perf_counter()
        query = self._extractor.extract(rgb) if features is None else features
        extracted = time.perf_counter()
        candidates = [self._match(query, int(rank), int(indices[rank])) for rank in ranks]
        matched = time.perf_counter()
        size = rgb.shape[1], rgb.shape[0]
        compared = list(dict.fromkeys(place_of[ranks].tolist()))
        not_verified = set(place_of[wanted].tolist()) - set(compared)
        matched_at = {p: [c for c in candidates if place_of[c.rank] == p] for p in compared}
        left_ms = time_left_ms - self._budget.expected_ms(len(ranks), len(compared))
        checked = self._checked(camera, camera_name, query, matched_at[compared[0]], size, left_ms)
        checked_at = time.perf_counter()
        solver = PlacePoseSolver(self._map, self._config, query, size, checked)
        found = [solver.solve(place, images) for place, images in matched_at.items()]
        if solver.is_held_back and not any(pose for _, pose in found):
            # Not even a right pose is of use with this calibration: the way without one remains.
            checked = checked.refused()
            solver = PlacePoseSolver(self._map, self._config, query, size, checked)
            found = [solver.solve(place, images) for place, images in matched_at.items()]
        solved = time.perf_counter()
        timings_ms = {
            'extract': 1e3 * (extracted - started),
            'match': 1e3 * (matched - extracted),
            'solve': 1e3 * (solved - matched),
        }
        if not known:
            self._budget.measured('extract', timings_ms['extract'])
        self._budget.measured('match', timings_ms['match'] / len(ranks))
        self._budget.measured('solve', 1e3 * (solved - checked_at) / len(compared))
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
            camera_problem='' if solver.is_pose_expected else checked.problem,
        )

    def _checked(
        self,
        camera: CameraModel | None,
        name: str,
        query: LocalFeatures,
        best_place: list[MatchedImage],
        size: tuple[int, int],
        time_left_ms: float,
    ) -> CheckedCamera:
        """Check the camera against the landmarks of the best place: what may be used of it?"""
        known, note = self._known(camera, size)
        mode = self._config.camera_check
        if known is None or mode == 'trust' or not self._store.has_landmarks:
            return CheckedCamera(known, note)
        check = self._checks.of(name, known, self._map.camera)
        if self._budget.cost_ms['check'] <= time_left_ms:
            started = time.perf_counter()
            if look(check, self._map, self._config, query, best_place, size):
                self._budget.measured('check', 1e3 * (time.perf_counter() - started))
        return checked_camera(check, mode, size)

    def _known(
        self, camera: CameraModel | None, size: tuple[int, int]
    ) -> tuple[CameraModel | None, str]:
        """Calibration for images of this size (width, height [px]), or None and why."""
        if camera is None:
            return None, 'no camera_info'
        if self._camera is None or self._camera[:2] != (
            camera,
            size,
        ):  # usually the same for all images
            try:
                known = self._map.calibration_of(camera.resized(*size))
            except NetvladError as error:
                return None, str(error)
            self._camera = (camera, size, known)
        return self._camera[2], ''

    def _match(self, query: LocalFeatures, rank: int, index: int) -> MatchedImage:
        mapped = self._store.features(index)
        spec = self._store.spec
        matches = match_features(query, mapped, spec.metric, ratio=spec.ratio)
        return MatchedImage(rank, index, matches)

    def _near_duplicates(
        self, indices: NDArray[np.int64], place_of: NDArray[np.int64], best: int
    ) -> NDArray[np.bool_]:
        """Images of the best place, bool (k,), taken where a more similar one was taken."""
        near_duplicates = np.zeros(len(indices), dtype=bool)
        ranks = np.flatnonzero(place_of == best)
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

    def _margin(self, indices: NDArray[np.int64], best: int) -> NDArray[np.bool_]:
        """Candidates, bool (k,), within two radii of the best place: they are no other place."""
        T = self._map.T_map_cam[indices]
        radius_m = self._config.radius_m(self._map.spacing_m)
        return around(T, T[best], 2 * radius_m, 2 * self._config.place_radius_deg)
