"""MeasurementModel: log odds of similarities and inliers on a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.decision.hypotheses import Hypotheses
from netvlad_ros.core.decision.observation import Observation
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, around
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.core.retrieval import Candidates
from netvlad_ros.core.verification.evidence import GeometricPose, Verification


@dataclass(frozen=True)
class MeasurementModel:
    """How strongly similarities and inliers support a place.

    Attributes:
        of_similarity: what a cosine means.
        of_map: what inliers and covariances mean on this map.
        radius_m: images within it [m] and within radius_deg show one place.
        radius_deg: the same for the angle [deg].
    """

    of_similarity: SimilarityCalibration
    of_map: MapCalibration
    radius_m: float
    radius_deg: float

    def observe(
        self,
        candidates: Candidates,
        verification: Verification | None,
        *,
        edge_share: float,
        shows_something: bool,
        note: str,
    ) -> Observation:
        """Weigh what verification found: what later steps need of it is computed here, once.

        Args:
            candidates: of the image.
            verification: of the candidates; None where it was not tried.
            edge_share: see Observation.
            shows_something: see Observation.
            note: see Observation.
        """
        place_of = candidates.place_of
        inliers = np.full(len(place_of), -1, dtype=np.int64)
        pose_of_place: dict[int, GeometricPose] = {}
        against_places = against_unmapped = np.zeros(len(place_of))
        if verification is not None:
            for evidence in verification.evidence:
                inliers[evidence.rank] = int(evidence.inliers.sum())
            pose_of_place = {pose.place: pose for pose in verification.poses}
            if verification.evidence:
                against_places, against_unmapped = (
                    self._geometry_log_odds(
                        place_of, inliers, pose_of_place, verification, unmapped
                    )
                    for unmapped in (False, True)
                )
        return Observation(
            descriptor=candidates.descriptor,
            indices=candidates.indices,
            similarity=candidates.similarity,
            T_map_cam=candidates.T_map_cam,
            place_of=place_of,
            inliers=inliers,
            pose_of_place=pose_of_place,
            against_places=against_places,
            against_unmapped=against_unmapped,
            edge_share=edge_share,
            shows_something=shows_something,
            verification=verification,
            note=note,
        )

    def hypotheses(self, observation: Observation) -> Hypotheses:
        """Where the camera may be by this image alone.

        A place weighs as much as its best candidate: a hundred neighbouring map images are one
        independent measurement, not a hundred. Against the best place stand its rivals and "none
        of the mapped places".
        """
        place_of, similarity = observation.place_of, observation.similarity
        ranks = np.arange(len(similarity))
        relative = self.rival_log_odds(similarity)
        score = np.where(place_of == ranks, relative + observation.against_places, -np.inf)
        best = int(np.argmax(score))
        # A map image in the margin of the best place neither supports it nor is a rival.
        near = around(
            observation.T_map_cam,
            observation.T_map_cam[best],
            2 * self.radius_m,
            2 * self.radius_deg,
        )
        agreeing = self.agreeing_places(observation, best)
        rivals = np.flatnonzero((place_of == ranks) & ~near & ~np.isin(place_of, agreeing))
        odds = np.exp(np.clip(score - score[best], -700.0, 0.0))  # best place: 1
        log_odds = float(
            self.of_similarity.log_odds(similarity[best]) + observation.against_unmapped[best]
        )
        none = np.exp(np.clip(-log_odds, -700.0, 700.0))
        total = 1.0 + none + odds[rivals].sum()
        return Hypotheses(
            best=best,
            probability=np.where(place_of >= 0, (odds / total)[place_of], 0.0),
            elsewhere=float(none / total),
            single_probability=float(1.0 / (1.0 + none)),
            supporters=np.flatnonzero(place_of == best),
            rival=int(rivals[np.argmax(score[rivals])]) if len(rivals) else None,
        )

    def rival_log_odds(self, similarity: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log odds (k,) of candidates against the most similar one, by similarity alone."""
        rise = similarity.astype(np.float64) - float(similarity[0])
        return np.asarray(self.of_similarity.rival_slope * rise)

    def agreeing_places(self, observation: Observation, best: int) -> list[int]:
        """Other places whose landmarks put the camera where those of the best place put it."""
        pose = observation.pose_of_place.get(best)
        others = [other for other in observation.pose_of_place.values() if other.place != best]
        if pose is None or not others:
            return []
        T = np.array([other.T_map_cam for other in others])
        agree = around(T, pose.T_map_cam, self.radius_m, self.radius_deg)
        return [other.place for other, same in zip(others, agree, strict=True) if same]

    def _geometry_log_odds(
        self,
        place_of: NDArray[np.int64],
        inliers: NDArray[np.int64],
        pose_of_place: dict[int, GeometricPose],
        verification: Verification,
        against_unmapped: bool,
    ) -> Array:
        """Log odds (k,) that verification adds to each candidate's place.

        With a pose: by the pose's inliers.
        Verified, without a pose although the cameras are known: by its inliers, but at most
        MOST_LOG_ODDS_WITHOUT_POSE.
        Not verified: at most as much as the best verified place, never above 0.
        Against other places, a place without a pose is limited only if enough of its images were
        compared for a pose. A place that was skipped for lack of time counts like the best one.
        Both may look the same as a place that has a pose.
        """
        log_odds_of: dict[int, float] = {}
        for place in np.unique(place_of[inliers >= 0]).tolist():
            pose = pose_of_place.get(place)
            if pose is not None:
                log_odds_of[place] = self.of_map.inlier_log_odds(pose.inliers)
                continue
            compared = inliers[(place_of == place) & (inliers >= 0)]
            without_pose = verification.is_pose_expected and (
                against_unmapped or len(compared) >= verification.views_needed
            )
            log_odds_of[place] = self.of_map.inlier_log_odds(
                int(compared.max()), without_pose=without_pose
            )
        highest = max(log_odds_of.values())
        if not against_unmapped:
            log_odds_of |= dict.fromkeys(verification.not_verified, highest)
        log_odds = np.full(len(place_of), min(0.0, highest))
        for place, value in log_odds_of.items():
            log_odds[place_of == place] = value
        return log_odds


def calibration_of(
    bundle: ModelBundle, config: LocalizerConfig, of_map: MapCalibration | None
) -> SimilarityCalibration:
    """What a similarity means: by the configuration, else the map, else the model.

    Raises:
        NetvladError: none of them says.
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
