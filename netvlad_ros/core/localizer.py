"""The localizer: one image in, one honest answer out."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.camera.image import edge_share
from netvlad_ros.core.decision.answer import answer
from netvlad_ros.core.decision.hypotheses import Hypotheses
from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.decision.measurement_model import MeasurementModel, calibration_of
from netvlad_ros.core.decision.observation import Observation
from netvlad_ros.core.decision.sequence import Sequence
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import FeatureExtractor, open_extractor
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.retrieval import ExactSearch, group
from netvlad_ros.core.verification.verifier import Verifier

NEGLIGIBLE_LOG_ODDS = 10.0  # 1 : 22,000 against the best place
# Settings that the belief is built on; when one of them changes, it begins anew.
MOTION = ('belief', 'max_speed_mps', 'max_turn_dps', 'place_radius_m', 'place_radius_deg')


class Localizer:
    """Finds where on a map an image was taken: recognize() by it alone, step() in a sequence.

    `config` may be replaced between two calls. Raises NetvladError if map and model do not belong
    together, if neither model nor config says which similarity means a right match, or if the
    map's features are of a detector that is not given.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        place_map: PlaceMap,
        config: LocalizerConfig | None = None,
        *,
        extractor: FeatureExtractor | None = None,
    ) -> None:
        """extractor: of the map's features, needed only where they are of a bundle (.onnx)."""
        if place_map.model_id != bundle.metadata.model_id:
            raise NetvladError(
                f'map {place_map.directory or place_map.map_id[:12]} was built with the model '
                f'{place_map.model_id[:12]}, {bundle.path} is {bundle.metadata.model_id[:12]}; '
                'load that model or build the map again with this one'
            )
        self.bundle = bundle
        self.place_map = place_map
        self._search = ExactSearch(place_map.descriptors)
        self._extractor = extractor
        if extractor is None and place_map.features is not None:
            self._extractor = open_extractor(place_map.features.spec)
        self._motion: tuple[float, ...] = ()
        self.config = config or LocalizerConfig()

    @property
    def config(self) -> LocalizerConfig:
        """The configuration of the next call."""
        return self._config

    @config.setter
    def config(self, config: LocalizerConfig) -> None:
        place_map = self.place_map
        trust = MeasurementModel(
            of_similarity=calibration_of(self.bundle, config, place_map.calibration),
            of_map=place_map.calibration or MapCalibration(),
            radius_m=config.radius_m(place_map.spacing_m),
            radius_deg=config.place_radius_deg,
        )
        verifier = None
        if config.verification and self._extractor is not None:
            verifier = Verifier(place_map, self._extractor, config)
        motion = tuple(getattr(config, name) for name in MOTION)
        if motion != self._motion:
            self._sequence, self._motion = Sequence(place_map, trust, config), motion
        self._sequence.trust = trust
        self._trust, self._verifier, self._config = trust, verifier, config

    def recognize(
        self,
        rgb: NDArray[np.uint8],
        stamp_ns: int,
        *,
        camera: CameraModel | None = None,
        time_left_ms: float = math.inf,
    ) -> Match:
        """Localize rgb, uint8 (H, W, 3) RGB, taken at stamp_ns [ns], by itself.

        camera: its intrinsics; None, or those of another camera, make the answer weaker.
        time_left_ms: what may be spent; verification is left out where it would take longer.
        Raises NetvladError if rgb is no such image or the model fails on it.
        """
        return self._alone(self._look(rgb, stamp_ns, camera, time_left_ms))

    def step(
        self,
        rgb: NDArray[np.uint8],
        stamp_ns: int,
        *,
        camera: CameraModel | None = None,
        T_odom_cam: Array | None = None,
        T_ref_cam: Array | None = None,
        time_left_ms: float = math.inf,
    ) -> Match:
        """Localize rgb as recognize() does, in the light of the images before it.

        T_odom_cam: (4, 4), the reference camera in the odometry's frame at stamp_ns; None: it may
        have moved anyhow within the configured speed. T_ref_cam: (4, 4), this camera in the
        reference camera's frame, where there are several; None: it is the reference camera.
        """
        sight = self._look(rgb, stamp_ns, camera, time_left_ms)
        if not self._config.belief:
            return self._alone(sight)
        return self._in_sequence(sight, T_odom_cam, T_ref_cam)

    def both(
        self, rgb: NDArray[np.uint8], stamp_ns: int, *, camera: CameraModel | None = None
    ) -> tuple[Match, Match]:
        """The answers of recognize() and step(), for the price of one."""
        sight = self._look(rgb, stamp_ns, camera, math.inf)
        alone = self._alone(sight)
        return alone, self._in_sequence(sight, None, None) if self._config.belief else alone

    def reset(self) -> None:
        """Forget all images so far: the next one is the first."""
        self._sequence.reset()

    def _look(
        self,
        rgb: NDArray[np.uint8],
        stamp_ns: int,
        camera: CameraModel | None,
        time_left_ms: float,
    ) -> Observation:
        config, place_map = self._config, self.place_map
        started = time.perf_counter()

        # What does the image look like?
        descriptor = self.bundle.describe(rgb)
        described = time.perf_counter()

        # Which map images look alike? Those far below the best one are nobody's rivals.
        indices, similarity = self._search.search(
            descriptor, max(config.search_depth, config.top_k)
        )
        reach = similarity[0] - NEGLIGIBLE_LOG_ODDS / self._trust.of_similarity.rival_slope
        near = max(config.top_k, int(np.searchsorted(-similarity, -reach, side='right')))
        indices, similarity = indices[:near], similarity[:near]
        searched = time.perf_counter()

        # Which places are that, and does their geometry agree with what is seen?
        T_map_cam = place_map.T_map_cam[indices]
        leader = group(T_map_cam, self._trust.radius_m, self._trust.radius_deg)
        edges = edge_share(rgb)
        verification = None
        note = '' if config.verification else 'verification is off'
        grouped = time.perf_counter()
        if config.verification and self._verifier is None:
            note = 'the map has no features'
        elif self._verifier is not None and edges >= config.min_detail:
            left_ms = time_left_ms - 1e3 * (grouped - started)
            verification = self._verifier.verify(rgb, camera, indices, leader, time_left_ms=left_ms)
            note = verification.note
        verified = time.perf_counter()
        return Observation(
            stamp_ns=stamp_ns,
            descriptor=descriptor,
            indices=indices,
            similarity=similarity,
            leader=leader,
            edge_share=edges,
            shows_something=edges >= config.min_detail,
            verification=verification,
            note=note,
            timings_ms={
                'describe': 1e3 * (described - started),
                'search': 1e3 * (searched - described),
                'group': 1e3 * (grouped - searched),
                'verify': 1e3 * (verified - grouped),
            },
        )

    def _alone(self, sight: Observation) -> Match:
        started = time.perf_counter()
        hypotheses = self._trust.weigh(sight, self.place_map.T_map_cam[sight.indices])
        return self._answer(sight, hypotheses, started)

    def _in_sequence(
        self, sight: Observation, T_odom_cam: Array | None, T_ref_cam: Array | None
    ) -> Match:
        started = time.perf_counter()
        alone = self._trust.weigh(sight, self.place_map.T_map_cam[sight.indices])
        believed = self._sequence.update(sight, alone, T_odom_cam, T_ref_cam)
        return self._answer(sight, believed, started)

    def _answer(self, sight: Observation, hypotheses: Hypotheses, started: float) -> Match:
        match = answer(sight, hypotheses, self.place_map, self._trust, self._config)
        decided_ms = sight.timings_ms['group'] + 1e3 * (time.perf_counter() - started)
        stages = {name: sight.timings_ms[name] for name in ('describe', 'search', 'verify')}
        stages['decide'] = decided_ms
        parts = sight.verification.timings_ms if sight.verification else {}
        total = sum(stages.values())
        return replace(match, timings_ms={**stages, **parts, 'total': total})
