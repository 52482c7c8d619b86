"""DriveMetrics: answers to the images of a drive, compared with its true poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.evaluation.localized_drive import LocalizedDrive, MatchSummary
from netvlad_ros.offline.evaluation.verdict_counts import VerdictCounts, mean_timings_ms
from netvlad_ros.offline.metrics.acceptance import (
    Acceptance,
    FirstFix,
    PrecisionRecall,
    first_fix,
    precision_recall,
)
from netvlad_ros.offline.metrics.accuracy import (
    RECALL_AT,
    Recall,
    median_and_p90,
    percentiles,
    places_within,
    pose_errors,
    recall_at_n,
)
from netvlad_ros.offline.metrics.intervals import (
    Intervals,
    acceptance_columns,
    intervals,
    over_accepted,
    recall_columns,
)
from netvlad_ros.offline.metrics.uncertainty import (
    Reliability,
    nees,
    reliability,
    share_inside,
)


@dataclass(frozen=True)
class Tolerances:
    """What counts as right.

    Attributes:
        radius_m: distance [m] within which a map image, and an accepted prior, is right.
        angle_deg: the same for the rotation [deg]; None = any.
        place_radius_m: distance [m] within which an estimate shows the right place, as in the
            localizer; its probability states this.
        place_radius_deg: the same for the rotation [deg].
    """

    radius_m: float
    angle_deg: float | None
    place_radius_m: float
    place_radius_deg: float

    def to_json(self) -> dict[str, Any]:
        """The tolerances as metrics.json has them."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class DriveMetrics:
    """The metrics of one mode of localizing: every image alone, or as a sequence.

    Attributes:
        recall: of the ranked candidates.
        acceptance: of the priors, by the tolerances that the user asked for.
        verdicts: of all n answers.
        intervals: of recall, acceptance and median errors.
        answerable_places: number of images whose place is mapped, by the localizer's radius.
        curve: precision and recall over the acceptance threshold, by the localizer's radius.
        reliability: stated probability against the share of right answers.
        first_fix: from a cold start.
        timings_ms: stage -> mean time [ms].
        errors_m: (a,), position errors of the accepted priors [m].
        errors_deg: (a,), rotation errors of the accepted priors [deg].
        nees: (a,), normalised estimation errors squared of the accepted priors.
        wrong: (a,), whether the accepted prior is out of the tolerances.
        right_places: (n,), map rows of the right places of each image.
        shows_place: (n,), whether the estimate shows the right place.
    """

    recall: Recall
    acceptance: Acceptance
    verdicts: VerdictCounts
    intervals: Intervals
    answerable_places: int
    curve: PrecisionRecall
    reliability: Reliability
    first_fix: FirstFix
    timings_ms: Mapping[str, float]
    errors_m: Array
    errors_deg: Array
    nees: Array
    wrong: NDArray[np.bool_]
    right_places: tuple[NDArray[np.int64], ...]
    shows_place: NDArray[np.bool_]

    def to_json(self) -> dict[str, Any]:
        """The metrics as metrics.json has them."""
        return {
            **self.recall.to_json(),
            **self.acceptance.to_json(),
            'pose_error_m': median_and_p90(self.errors_m),
            'pose_error_deg': median_and_p90(self.errors_deg),
            **self.verdicts.to_json(),
            **self.intervals.to_json(),
            'percentiles_m': percentiles(self.errors_m),
            'percentiles_deg': percentiles(self.errors_deg),
            'nees': {
                'mean': float(np.mean(self.nees)) if len(self.nees) else None,
                'share_in_95': share_inside(self.nees),
            },
            'answerable_places': self.answerable_places,
            'recall_at_100_precision': self.curve.recall_at_full_precision,
            'ece': self.reliability.expected_error,
            'reliability': self.reliability.to_json(),
            'first_fix': asdict(self.first_fix),
            'ms': dict(self.timings_ms),
        }


def score_answers(
    answers: Sequence[MatchSummary],
    drive: LocalizedDrive,
    T_map_places: Array,
    tolerances: Tolerances,
) -> DriveMetrics:
    """Compare answers, one for each image of a drive, with its true poses.

    Args:
        answers: those of one mode, `drive.single` or `drive.sequence`.
        drive: has the truth.
        T_map_places: (N, 4, 4), camera poses of the map's images.
        tolerances: what counts as right.
    """
    truth = drive.truth
    right_places = tuple(
        places_within(T_map_places, T, tolerances.radius_m, tolerances.angle_deg) for T in truth
    )
    ranked = [answer.ranked for answer in answers]
    right_rows = [places.tolist() for places in right_places]
    recall = recall_at_n(ranked, right_rows)

    # Where do accepted priors put the camera?
    accepted = np.array([answer.prior is not None for answer in answers])
    priors = [answer.prior for answer in answers if answer.prior is not None]
    estimated = np.array([prior.T for prior in priors]).reshape(-1, 4, 4)
    errors_m, errors_deg = pose_errors(estimated, truth[accepted])
    wrong = errors_m > tolerances.radius_m
    if tolerances.angle_deg is not None:
        wrong |= errors_deg > tolerances.angle_deg
    right = np.zeros(len(answers), dtype=bool)
    right[accepted] = ~wrong
    covariances = np.array([prior.covariance for prior in priors]).reshape(-1, 6, 6)

    # Do probabilities mean what they state?
    probability = [answer.probability for answer in answers]
    shows_place = np.array([
        _is_within(answer.estimate.T[np.newaxis], T, tolerances)
        for answer, T in zip(answers, truth, strict=True)
    ])  # fmt: skip
    answerable = np.array([_is_within(T_map_places, T, tolerances) for T in truth])
    answerable |= shows_place  # found from further away than the nearest place

    columns = {
        **recall_columns(ranked, right_rows, RECALL_AT),
        **acceptance_columns(accepted, right),
        'median_error_m': over_accepted(errors_m, accepted),
        'median_error_deg': over_accepted(errors_deg, accepted),
    }
    return DriveMetrics(
        recall=recall,
        intervals=intervals(columns, drive.stamps_ns),
        acceptance=Acceptance.of(accepted, right),
        first_fix=first_fix(accepted, right, drive.stamps_ns),
        answerable_places=int(answerable.sum()),
        curve=precision_recall(probability, shows_place, int(answerable.sum())),
        reliability=reliability(probability, shows_place),
        nees=nees(estimated, truth[accepted], covariances),
        verdicts=VerdictCounts.of(answers),
        timings_ms=mean_timings_ms(answers),
        errors_m=errors_m,
        errors_deg=errors_deg,
        wrong=wrong,
        right_places=right_places,
        shows_place=shows_place,
    )


def _is_within(T_map_cam: Array, T_true: Array, tolerances: Tolerances) -> bool:
    """Whether one of the poses (k, 4, 4) shows the right place."""
    near = places_within(T_map_cam, T_true, tolerances.place_radius_m, tolerances.place_radius_deg)
    return len(near) > 0
