"""The localizer: one image in, one honest answer out."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.decision import Hypotheses, judge, weigh
from netvlad_ros.core.descriptor import ModelBundle
from netvlad_ros.core.detail import detail
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.match import Candidate, Match, Status
from netvlad_ros.core.model_metadata import Calibration
from netvlad_ros.core.place_map import PlaceMap
from netvlad_ros.core.pose_prior import PosePrior, pose_prior
from netvlad_ros.core.search import ExactSearch

NEGLIGIBLE_LOG_ODDS = 10.0  # 1 : 22,000 against the best place


class Localizer:
    """Finds where on a map an image was taken.

    `config` may be replaced between two steps. Raises NetvladError if map and model do not belong
    together, or if neither model nor config says which similarity means a right match.
    """

    def __init__(
        self, bundle: ModelBundle, place_map: PlaceMap, config: LocalizerConfig | None = None
    ) -> None:
        if place_map.model_id != bundle.metadata.model_id:
            raise NetvladError(
                f'map {place_map.directory or place_map.map_id[:12]} was built with the model '
                f'{place_map.model_id[:12]}, {bundle.path} is {bundle.metadata.model_id[:12]}; '
                'load that model or build the map again with this one'
            )
        self.bundle = bundle
        self.place_map = place_map
        self.config = config or LocalizerConfig()
        self._search = ExactSearch(place_map.descriptors)

    @property
    def config(self) -> LocalizerConfig:
        """The configuration of the next step."""
        return self._config

    @config.setter
    def config(self, config: LocalizerConfig) -> None:
        self._calibration = _calibration(self.bundle, config)
        self._config = config

    def step(self, rgb: NDArray[np.uint8], stamp_ns: int) -> Match:
        """Localize rgb, uint8 (H, W, 3) RGB, taken at stamp_ns [ns].

        Raises NetvladError if rgb is no such image or the model fails on it.
        """
        config, place_map = self._config, self.place_map
        started = time.perf_counter()

        # What does the image look like?
        descriptor = self.bundle.describe(rgb)
        described = time.perf_counter()

        # Which map images look alike? Those far below the best one are nobody's rivals.
        indices, similarity = self._search.search(
            descriptor, max(config.search_depth, config.top_k)
        )
        reach = similarity[0] - NEGLIGIBLE_LOG_ODDS / self._calibration.rival_slope
        near = max(config.top_k, int(np.searchsorted(-similarity, -reach, side='right')))
        indices, similarity = indices[:near], similarity[:near]
        searched = time.perf_counter()

        # Which places do they speak for, and how probably?
        T_map_cam = place_map.T_map_cam[indices]
        radius_m = max(config.place_radius_m, 2 * place_map.spacing_m)
        hypotheses = weigh(
            T_map_cam, similarity, self._calibration, radius_m, config.place_radius_deg
        )

        # Is the best one good enough, and where does it put the camera?
        verdict = judge(
            hypotheses,
            similarity,
            detail(rgb),
            accept_probability=config.accept_probability,
            min_detail=config.min_detail,
        )
        prior = None
        if verdict.status is Status.ACCEPTED:
            prior = self._prior(T_map_cam, similarity, hypotheses.supporters)

        candidates = self._candidates(indices, similarity, hypotheses)
        decided = time.perf_counter()
        return Match(
            stamp_ns=stamp_ns,
            status=verdict.status,
            reason=verdict.reason,
            candidates=candidates,
            prior=prior,
            map_id=place_map.map_id,
            model_id=place_map.model_id,
            descriptor=descriptor,
            timings_ms={
                'describe': 1e3 * (described - started),
                'search': 1e3 * (searched - described),
                'decide': 1e3 * (decided - searched),
                'total': 1e3 * (decided - started),
            },
        )

    def _prior(
        self,
        T_map_cam: NDArray[np.float64],
        similarity: NDArray[np.float32],
        supporters: NDArray[np.int64],
    ) -> PosePrior:
        ranks = supporters[: self._config.prior_places]
        # How fast similarity falls with distance differs from map to map: what counts is where an
        # image stands between the best and the last one, which weighs 5 %; less if it resembles
        # the query so little that it may as well show another place.
        below_best = similarity[0] - similarity[ranks].astype(np.float64)
        by_rank = 3.0 * below_best / max(float(below_best[-1]), 1e-9)
        return pose_prior(
            T_map_cam[ranks],
            np.exp(-np.maximum(by_rank, self._calibration.slope * below_best)),
            sigma_m=max(self._config.prior_sigma_m, self.place_map.spacing_m / 2),
            sigma_deg=max(self._config.prior_sigma_deg, self.place_map.spacing_deg / 2),
            inflation=self._config.prior_inflation,
        )

    def _candidates(
        self,
        indices: NDArray[np.int64],
        similarity: NDArray[np.float32],
        hypotheses: Hypotheses,
    ) -> tuple[Candidate, ...]:
        place_map = self.place_map
        return tuple(
            Candidate(
                index=int(i),
                place_id=int(place_map.place_ids[i]),
                recording=place_map.recordings[i],
                stamp_ns=int(place_map.stamps_ns[i]),
                similarity=float(similarity[rank]),
                probability=float(hypotheses.probability[rank]),
                inliers=-1,
                T_map_cam=place_map.T_map_cam[i],
            )
            for rank, i in enumerate(indices[: self._config.top_k])
        )


def _calibration(bundle: ModelBundle, config: LocalizerConfig) -> Calibration:
    """That of the model, unless the configuration knows better."""
    of_model = bundle.metadata.calibration
    given = [config.similarity_midpoint, config.similarity_slope, config.rival_slope]
    is_given = [given[0] > -1, given[1] > 0, given[2] > 0]
    if of_model is None:
        if not all(is_given):
            raise NetvladError(
                f'{bundle.path} carries no calibration, so no similarity can be trusted; '
                'set similarity_midpoint, similarity_slope and rival_slope'
            )
        return Calibration(*given)
    defaults = [of_model.midpoint, of_model.slope, of_model.rival_slope]
    return Calibration(
        *(
            value if known else default
            for value, known, default in zip(given, is_given, defaults, strict=True)
        )
    )
