"""How far similarities and inliers are believed on a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netvlad_ros.core.decision.hypotheses import Hypotheses, weigh
from netvlad_ros.core.decision.observation import Observation
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, around
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.calibration import MapCalibration


@dataclass(frozen=True)
class MeasurementModel:
    """of_similarity: what a cosine means; of_map: what inliers and covariances mean; radius_m [m]
    and radius_deg [deg]: images within both show one place.
    """

    of_similarity: SimilarityCalibration
    of_map: MapCalibration
    radius_m: float
    radius_deg: float

    def weigh(self, sight: Observation, T_map_cam: Array) -> Hypotheses:
        """What an image says by itself; T_map_cam (k, 4, 4), of its look-alikes."""
        arguments = (
            *(sight.leader, T_map_cam, sight.similarity, self.of_geometry(sight)),
            *(self.of_similarity, self.radius_m, self.radius_deg),
        )
        by_itself = self.of_geometry(sight, by_itself=True)
        hypotheses = weigh(*arguments, by_itself=by_itself)
        allies = self.allies(sight, hypotheses.best)
        return weigh(*arguments, by_itself=by_itself, allies=allies) if allies else hypotheses

    def of_geometry(self, sight: Observation, *, by_itself: bool = False) -> Array:
        """Log odds (k,) that verification adds to the place of each look-alike.

        A place that was not verified is not better for it than the best one that was. Inliers prove
        that the same things are seen, a pose that they are seen from the place: where one was to be
        had and there is none, they speak against it. Where too few images were looked at for a
        pose, as of rivals, that is true of what the place is worth `by_itself`; against the other
        places its inliers count: it may be the twin of one that got its pose. So may a rival that
        there was no time for.
        """
        gains = np.zeros(len(sight.indices))
        if sight.verification is None or not sight.verification.evidence:
            return gains
        gain_of = {}
        inliers = sight.inliers()
        expected = sight.verification.is_pose_expected
        for place in np.unique(sight.leader[inliers >= 0]).tolist():
            pose = sight.pose_at(place)
            if pose is not None:
                gain_of[place] = self.of_map.inlier_log_odds(pose.inliers)
            else:
                looked_at = inliers[(sight.leader == place) & (inliers >= 0)]
                poseless = expected and (
                    by_itself or len(looked_at) >= sight.verification.views_needed
                )
                gain_of[place] = self.of_map.inlier_log_odds(
                    int(looked_at.max()), poseless=poseless
                )
        gains[:] = min(0.0, max(gain_of.values()))
        if not by_itself:
            gain_of |= dict.fromkeys(sight.verification.unseen, max(gain_of.values()))
        for place, gain in gain_of.items():
            gains[sight.leader == place] = gain
        return gains

    def allies(self, sight: Observation, best: int) -> list[int]:
        """Leaders of the places whose landmarks put the camera where those of the best one do."""
        pose = sight.pose_at(best)
        if pose is None or sight.verification is None:
            return []
        others = [other for other in sight.verification.poses if other.leader != best]
        if not others:
            return []
        T = np.array([other.T_map_cam for other in others])
        agree = around(T, pose.T_map_cam, self.radius_m, self.radius_deg)
        return [other.leader for other, same in zip(others, agree, strict=True) if same]


def calibration_of(
    bundle: ModelBundle, config: LocalizerConfig, of_map: MapCalibration | None
) -> SimilarityCalibration:
    """What a similarity means: by the configuration, else the map, else the model.

    Raises NetvladError if none of them says.
    """
    known = bundle.metadata.calibration
    given = [config.similarity_midpoint, config.similarity_slope, config.rival_slope]
    is_given = [given[0] > -1, given[1] > 0, given[2] > 0]
    if known is None:
        if not all(is_given):
            raise NetvladError(
                f'{bundle.path} carries no calibration, so no similarity can be trusted; '
                'set similarity_midpoint, similarity_slope and rival_slope'
            )
        return SimilarityCalibration(*given)
    if of_map is not None:
        known = of_map.of_similarity(known)
    defaults = [known.midpoint, known.slope, known.rival_slope]
    return SimilarityCalibration(
        *(
            value if is_known else default
            for value, is_known, default in zip(given, is_given, defaults, strict=True)
        )
    )
