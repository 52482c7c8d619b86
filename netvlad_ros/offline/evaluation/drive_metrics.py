"""Answers against the truth: the metrics of one way of localizing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.decision.match import Status
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.place_map.calibration import METHODS
from netvlad_ros.offline.evaluation.localized_drive import LocalizedDrive, MatchSummary
from netvlad_ros.offline.metrics.acceptance import (
    PrecisionRecall,
    first_fix,
    per_1000,
    precision_recall,
)
from netvlad_ros.offline.metrics.accuracy import (
    RECALL_AT,
    median_and_p90,
    percentiles,
    places_within,
    pose_errors,
    recall_at_n,
    recall_json,
)
from netvlad_ros.offline.metrics.bootstrap import block_length
from netvlad_ros.offline.metrics.intervals import (
    acceptance_columns,
    intervals_json,
    over_accepted,
    recall_columns,
)
from netvlad_ros.offline.metrics.uncertainty import (
    BINS,
    Reliability,
    nees,
    reliability,
    share_inside,
)


@dataclass(frozen=True)
class Tolerances:
    """What counts as right.

    radius_m, angle_deg (None = any): of a right map image and of a right prior, as the user asks.
    place_radius_m, place_radius_deg: of an estimate that shows the right place, which is what the
    localizer's probability speaks of.
    """

    radius_m: float
    angle_deg: float | None
    place_radius_m: float
    place_radius_deg: float


@dataclass(frozen=True)
class DriveMetrics:
    """One way of localizing, judged.

    metrics: plain JSON. errors_m, errors_deg, nees: (a,), of the accepted priors. wrong: (a,), out
    of bounds. right_places: of each of n answers, rows of the map. shows_place: (n,), whether its
    estimate does.
    """

    metrics: dict[str, Any]
    curve: PrecisionRecall
    reliability: Reliability
    errors_m: Array
    errors_deg: Array
    nees: Array
    wrong: NDArray[np.bool_]
    right_places: tuple[NDArray[np.int64], ...]
    shows_place: NDArray[np.bool_]


def score_answers(
    answers: Sequence[MatchSummary], drive: LocalizedDrive, T_map_places: Array, bounds: Tolerances
) -> DriveMetrics:
    """Compare answers, one for each image of the drive, with its poses.

    T_map_places: (N, 4, 4), camera poses of the map's images.
    """
    truth = drive.truth
    right_places = tuple(
        places_within(T_map_places, T, bounds.radius_m, bounds.angle_deg) for T in truth
    )
    ranked = [answer.ranked for answer in answers]
    right_rows = [places.tolist() for places in right_places]
    recall = recall_at_n(ranked, right_rows, RECALL_AT)

    # Where do accepted priors put the camera?
    accepted = np.array([answer.prior is not None for answer in answers])
    priors = [answer.prior for answer in answers if answer.prior is not None]
    estimated = np.array([prior.T for prior in priors]).reshape(-1, 4, 4)
    errors_m, errors_deg = pose_errors(estimated, truth[accepted])
    wrong = errors_m > bounds.radius_m
    if bounds.angle_deg is not None:
        wrong |= errors_deg > bounds.angle_deg
    right = np.zeros(len(answers), dtype=bool)
    right[accepted] = ~wrong
    covariances = np.array([prior.covariance for prior in priors]).reshape(-1, 6, 6)
    normalised = nees(estimated, truth[accepted], covariances)

    # Do probabilities mean what they say?
    probability = [answer.probability for answer in answers]
    shows_place = np.array([
        _is_within(answer.estimate.T[np.newaxis], T, bounds)
        for answer, T in zip(answers, truth, strict=True)
    ])  # fmt: skip
    answerable = np.array([_is_within(T_map_places, T, bounds) for T in truth])
    answerable |= shows_place  # found from further away than the map counts on
    curve = precision_recall(probability, shows_place, int(answerable.sum()))
    diagram = reliability(probability, shows_place)

    columns = {
        **recall_columns(ranked, right_rows, RECALL_AT),
        **acceptance_columns(accepted, right),
        'median_error_m': over_accepted(errors_m, accepted),
        'median_error_deg': over_accepted(errors_deg, accepted),
    }
    metrics = {
        **recall_json(recall),
        **acceptance_json(accepted, right),
        'pose_error_m': median_and_p90(errors_m),
        'pose_error_deg': median_and_p90(errors_deg),
        **counts_json(answers),
        **intervals_json(columns, block_length(drive.stamps_ns)),
        'percentiles_m': percentiles(errors_m),
        'percentiles_deg': percentiles(errors_deg),
        'nees': {
            'mean': float(np.mean(normalised)) if len(normalised) else None,
            'share_in_95': share_inside(normalised),
        },
        'answerable_places': int(answerable.sum()),
        'recall_at_100_precision': curve.recall_at_full_precision,
        'ece': diagram.expected_error,
        'reliability': _bins_json(diagram),
        'first_fix': asdict(first_fix(accepted, right, drive.stamps_ns)),
        'ms': timings_json(answers),
    }
    return DriveMetrics(
        metrics=metrics,
        curve=curve,
        reliability=diagram,
        errors_m=errors_m,
        errors_deg=errors_deg,
        nees=normalised,
        wrong=wrong,
        right_places=right_places,
        shows_place=shows_place,
    )


def acceptance_json(
    accepted: NDArray[np.bool_], right: NDArray[np.bool_]
) -> dict[str, int | float | None]:
    """How many answers (n,) were accepted, and how many of them wrongly; shares in 0..1."""
    wrong = int((accepted & ~right).sum())
    return {
        'accepted': int(accepted.sum()),
        'accepted_wrong': wrong,
        'accepted_share': float(accepted.mean()),
        'precision': 1 - wrong / int(accepted.sum()) if accepted.any() else None,
        'wrong_per_1000': per_1000(wrong, len(accepted)),
    }


def counts_json(answers: Sequence[MatchSummary]) -> dict[str, Any]:
    """How many answers of each other verdict, and how the accepted ones came by their pose."""
    methods = Counter(answer.prior.method for answer in answers if answer.prior is not None)
    return {
        'ambiguous': sum(answer.status is Status.AMBIGUOUS for answer in answers),
        'no_match': sum(answer.status is Status.NO_MATCH for answer in answers),
        'methods': {method: methods[method] for method in METHODS},
    }


def timings_json(answers: Sequence[MatchSummary]) -> dict[str, float]:
    """Mean time of each stage [ms], over the images that went through it."""
    stages = {stage: None for answer in answers for stage in answer.timings_ms}
    return {
        stage: float(np.mean([a.timings_ms[stage] for a in answers if stage in a.timings_ms]))
        for stage in stages
    }


def _is_within(T_map_cam: Array, T_true: Array, bounds: Tolerances) -> bool:
    """Whether one of the poses (k, 4, 4) shows the right place."""
    near = places_within(T_map_cam, T_true, bounds.place_radius_m, bounds.place_radius_deg)
    return len(near) > 0


def _bins_json(diagram: Reliability) -> list[dict[str, Any]]:
    return [
        {
            'from': i / BINS,
            'to': (i + 1) / BINS,
            'count': int(count),
            'stated': float(diagram.stated[i]) if count else None,
            'observed': float(diagram.observed[i]) if count else None,
        }
        for i, count in enumerate(diagram.count)
    ]
