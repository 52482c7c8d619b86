"""Localizer: describe, retrieve, verify, weigh, update the belief, decide."""

from __future__ import annotations

import math
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
from netvlad_ros.core.features.extractor import FeatureExtractor, open_extractor
from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.features.model_extractor import ModelExtractor
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.retrieval import Candidates, ExactSearch, group
from netvlad_ros.core.stopwatch import Stopwatch
from netvlad_ros.core.verification.camera_checks import CameraChecks
from netvlad_ros.core.verification.verifier import Verifier

NEGLIGIBLE_LOG_ODDS = 10.0  # 1 : 22,000 against the best place
# Settings that the belief is built on; when one of them changes, it begins anew.
MOTION = ('belief', 'max_speed_mps', 'max_turn_dps', 'place_radius_m', 'place_radius_deg')


class Localizer:
    """Finds where on a map an image was taken: recognize() by it alone, step() in a sequence.

    `config` may be replaced between two calls. One thread at a time.

    Args:
        bundle: the model.
        place_map: the map, built with that model.
        config: None = the defaults.
        extractor: of the map's features, needed only where they are of a bundle (.onnx).

    Attributes:
        camera_checks: whether the calibrations of the cameras agree with the map's landmarks.

    Raises:
        NetvladError: map and model do not belong together, neither model nor config says which
            similarity means a right match, or the map's features are of a detector that is not
            given.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        place_map: PlaceMap,
        config: LocalizerConfig | None = None,
        *,
        extractor: FeatureExtractor | None = None,
    ) -> None:
        place_map.check_model(bundle.metadata, bundle.path)
        self.bundle = bundle
        self.place_map = place_map
        self._search = ExactSearch(place_map.descriptors)
        self._extractor = extractor
        if extractor is None and place_map.features is not None:
            self._extractor = open_extractor(place_map.features.spec, bundle=bundle)
        self._motion: tuple[float, ...] = ()
        self.camera_checks = CameraChecks()
        self.config = config or LocalizerConfig()

    @property
    def config(self) -> LocalizerConfig:
        """The configuration of the next call."""
        return self._config

    @config.setter
    def config(self, config: LocalizerConfig) -> None:
        place_map = self.place_map
        model = MeasurementModel(
            of_similarity=calibration_of(self.bundle, config, place_map.calibration),
            of_map=place_map.calibration or place_map.own_calibration or MapCalibration(),
            radius_m=config.radius_m(place_map.spacing_m),
            radius_deg=config.place_radius_deg,
        )
        verifier = None
        if config.verification and self._extractor is not None:
            verifier = Verifier(place_map, self._extractor, config, self.camera_checks)
        motion = tuple(getattr(config, name) for name in MOTION)
        if motion != self._motion:
            self._sequence, self._motion = Sequence(place_map, model, config), motion
        self._sequence.model = model
        self._model, self._verifier, self._config = model, verifier, config

    @property
    def place_radius(self) -> tuple[float, float]:
        """Radius [m] and angle [deg] within which map images show one place."""
        return self._model.radius_m, self._model.radius_deg

    def step(
        self,
        rgb: NDArray[np.uint8],
        stamp_ns: int,
        *,
        camera: CameraModel | None = None,
        camera_name: str = '',
        T_odom_cam: Array | None = None,
        T_ref_cam: Array | None = None,
        time_left_ms: float = math.inf,
    ) -> Match:
        """Localize an image in the light of the images before it.

        Args:
            rgb: uint8 (H, W, 3), RGB.
            stamp_ns: when it was taken [ns].
            camera: its intrinsics; None, or those of another camera, make the answer weaker.
            camera_name: which of several cameras it is; each calibration is checked by itself.
            T_odom_cam: (4, 4), the reference camera in the odometry's frame at stamp_ns; None: it
                may have moved anyhow within the configured speed.
            T_ref_cam: (4, 4), this camera in the reference camera's frame, where there are
                several; None: it is the reference camera.
            time_left_ms: what may be spent [ms]; verification is left out where it would take
                longer.

        Raises:
            NetvladError: rgb is no such image, or the model fails on it.
        """
        watch = Stopwatch()
        candidates, found = self._retrieve(rgb, watch)  # NetVLAD, map images, grouped by place
        observation = self._verify(candidates, rgb, found, camera, watch, time_left_ms, camera_name)
        single = self._model.hypotheses(observation)  # this image by itself
        if not self._config.belief:
            return self._decide(stamp_ns, observation, single, watch)
        believed = self._sequence.update(  # Bayes filter
            stamp_ns, observation, single, T_odom_cam, T_ref_cam
        )
        return self._decide(stamp_ns, observation, believed, watch)

    def recognize(
        self,
        rgb: NDArray[np.uint8],
        stamp_ns: int,
        *,
        camera: CameraModel | None = None,
        camera_name: str = '',
        time_left_ms: float = math.inf,
    ) -> Match:
        """Localize an image by itself; for arguments and errors see step().

        What the images so far said of the camera's calibration is used, and this one adds to it.
        """
        watch = Stopwatch()
        candidates, found = self._retrieve(rgb, watch)
        observation = self._verify(candidates, rgb, found, camera, watch, time_left_ms, camera_name)
        return self._decide(stamp_ns, observation, self._model.hypotheses(observation), watch)

    def both(
        self, rgb: NDArray[np.uint8], stamp_ns: int, *, camera: CameraModel | None = None
    ) -> tuple[Match, Match]:
        """The answers of recognize() and step(), for the price of one."""
        watch = Stopwatch()
        candidates, found = self._retrieve(rgb, watch)
        observation = self._verify(candidates, rgb, found, camera, watch)
        single = self._model.hypotheses(observation)
        alone = self._decide(stamp_ns, observation, single, watch)
        if not self._config.belief:
            return alone, alone
        believed = self._sequence.update(stamp_ns, observation, single)
        return alone, self._decide(stamp_ns, observation, believed, watch)

    def reset(self) -> None:
        """Forget all images so far: the next one is the first.

        What is known of the cameras' calibrations remains: it is of the cameras, not of the run.
        """
        self._sequence.reset()

    def _retrieve(
        self, rgb: NDArray[np.uint8], watch: Stopwatch
    ) -> tuple[Candidates, LocalFeatures | None]:
        """Describe the image, find the similar map images, and group them by place.

        Where the map has the model's own local features, the same pass finds them.
        """
        config, model = self._config, self._model
        found: LocalFeatures | None = None
        if isinstance(self._extractor, ModelExtractor):
            descriptor, found = self._extractor.analyse(rgb)
        else:
            descriptor = self.bundle.describe(rgb)
        watch.lap('describe')
        indices, similarity = self._search.search(
            descriptor, max(config.search_depth, config.top_k)
        )
        # Map images whose similarity is far below the best one are no rivals.
        reach = similarity[0] - NEGLIGIBLE_LOG_ODDS / model.of_similarity.rival_slope
        near = max(config.top_k, int(np.searchsorted(-similarity, -reach, side='right')))
        indices, similarity = indices[:near], similarity[:near]
        watch.lap('search')
        T_map_cam = self.place_map.T_map_cam[indices]
        place_of = group(T_map_cam, model.radius_m, model.radius_deg)
        return Candidates(descriptor, indices, similarity, T_map_cam, place_of), found

    def _verify(
        self,
        candidates: Candidates,
        rgb: NDArray[np.uint8],
        found: LocalFeatures | None,
        camera: CameraModel | None,
        watch: Stopwatch,
        time_left_ms: float = math.inf,
        camera_name: str = '',
    ) -> Observation:
        """Compare the image with the candidates by local features, if there is time."""
        share = edge_share(rgb)
        shows_something = share >= self._config.min_detail
        watch.lap('decide')
        verification = None
        note = '' if self._config.verification else 'verification is off'
        if self._config.verification and self._verifier is None:
            note = 'the map has no features'
        elif self._verifier is not None and shows_something:
            verification = self._verifier.verify(
                rgb,
                camera,
                candidates.indices,
                candidates.place_of,
                similarity_log_odds=self._model.rival_log_odds(candidates.similarity),
                features=found,
                camera_name=camera_name,
                time_left_ms=time_left_ms - watch.elapsed_ms(),
            )
            note = verification.note
        watch.lap('verify')
        return self._model.observe(
            candidates, verification, edge_share=share, shows_something=shows_something, note=note
        )

    def _decide(
        self, stamp_ns: int, observation: Observation, hypotheses: Hypotheses, watch: Stopwatch
    ) -> Match:
        """The pose of the best place, and whether it is accepted."""
        match = answer(stamp_ns, observation, hypotheses, self.place_map, self._model, self._config)
        watch.lap('decide')
        stages = {s: watch.timings_ms[s] for s in ('describe', 'search', 'verify', 'decide')}
        parts = observation.verification.timings_ms if observation.verification else {}
        return replace(match, timings_ms={**stages, **parts, 'total': sum(stages.values())})
