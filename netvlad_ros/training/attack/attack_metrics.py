"""Metrics of an attack: the answers of the localizer, and the change of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.geometry import Array, around
from netvlad_ros.training.attack.attacked_localizer import DRIVING, MODES, RETRIEVAL

CONFIDENCE = 0.95
COUNTED = ('at_target', 'at_truth', 'accepted', 'accepted_wrong', 'accepted_target')


@dataclass(frozen=True)
class Answered:
    """The answer of the localizer to one image in one mode.

    Attributes:
        retrieved: row of the map of the best candidate.
        at_target: whether the best candidate shows the target's place.
        at_truth: whether the best candidate shows the true place.
        accepted: whether there was a pose prior.
        accepted_wrong: whether there was a prior outside the true place.
        accepted_target: whether there was a prior inside the target's place.
        probability: of the match.
        reason: of the match.
    """

    retrieved: int
    at_target: bool
    at_truth: bool
    accepted: bool
    accepted_wrong: bool
    accepted_target: bool
    probability: float
    reason: str

    @classmethod
    def of(
        cls, match: Match, T_true: Array, T_target: Array, radius_m: float, radius_deg: float
    ) -> Answered:
        """Compares an answer with the true place and the target.

        Args:
            match: the answer.
            T_true: (4, 4), camera in the map, where the image was taken.
            T_target: (4, 4), camera in the map, of the target.
            radius_m: of a place [m].
            radius_deg: of a place [deg].
        """

        def within(T: Array, place: Array) -> bool:
            return bool(around(T[np.newaxis], place, radius_m, radius_deg)[0])

        best, prior = match.candidates[0], match.prior
        return cls(
            retrieved=best.index,
            at_target=within(best.T_map_cam, T_target),
            at_truth=within(best.T_map_cam, T_true),
            accepted=prior is not None,
            accepted_wrong=prior is not None and not within(prior.T, T_true),
            accepted_target=prior is not None and within(prior.T, T_target),
            probability=match.probability,
            reason=match.reason,
        )


def worst(answers: Sequence[Answered]) -> Answered:
    """The most harmful of several answers: wrong and accepted, accepted, probable."""
    return max(answers, key=lambda each: (each.accepted_wrong, each.accepted, each.probability))


@dataclass(frozen=True)
class Attempt:
    """One image attacked towards one place. All metrics are those of the stored file.

    Attributes:
        stretch: number of the stretch of images, all of which have this target.
        carrier: name of the image in the drive.
        image: name of the stored file.
        target: row of the map.
        target_distance_m: from the true pose to the target [m].
        target_angle_deg: from the true pose to the target [deg].
        similarity_before: cosine of carrier and target.
        similarity_after: cosine of attacked image and target.
        max_change: largest change of a pixel in 0..255.
        rms_change: root mean square change of pixels in 0..255.
        before: answers to the carrier, by mode; of several answers the worst.
        after: answers to the attacked image, by mode; of several answers the worst.
    """

    stretch: int
    carrier: str
    image: str
    target: int
    target_distance_m: float
    target_angle_deg: float
    similarity_before: float
    similarity_after: float
    max_change: int
    rms_change: float
    before: dict[str, Answered]
    after: dict[str, Answered]


def change_of(carrier: NDArray[np.uint8], attacked: NDArray[np.uint8]) -> tuple[int, float]:
    """Largest and root mean square change between two images (H, W, 3), in pixel values."""
    difference = attacked.astype(np.int16) - carrier
    return int(np.abs(difference).max()), float(np.sqrt(np.square(difference, dtype=float).mean()))


def attack_metrics(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Counts and rates of fooled answers, for JSON.

    The rates have Clopper-Pearson intervals, which assume independent images. The images of one
    stretch are not independent, so the rates of driving count stretches.
    """

    def counted(answers: Callable[[Attempt], dict[str, Answered]]) -> dict[str, Any]:
        return {
            mode: {
                name: sum(getattr(answers(attempt)[mode], name) for attempt in attempts)
                for name in COUNTED
            }
            for mode in MODES
        }

    def middle(values: Sequence[float]) -> float | None:
        return float(np.median(values)) if len(values) else None

    return {
        'attacked': len(attempts),
        'rates': _rates(attempts),
        'carrier': counted(lambda attempt: attempt.before),
        'attack': counted(lambda attempt: attempt.after),
        'similarity_to_target': {
            'before_median': middle([attempt.similarity_before for attempt in attempts]),
            'after_median': middle([attempt.similarity_after for attempt in attempts]),
            'after_least': min((attempt.similarity_after for attempt in attempts), default=None),
        },
        'change_of_255': {
            'max': max((attempt.max_change for attempt in attempts), default=None),
            'rms_median': middle([attempt.rms_change for attempt in attempts]),
            'rms_max': max((attempt.rms_change for attempt in attempts), default=None),
        },
    }


def _rates(attempts: Sequence[Attempt]) -> dict[str, Any]:
    stretches: dict[int, bool] = {}
    for attempt in attempts:
        fooled = attempt.after[DRIVING].accepted_wrong
        stretches[attempt.stretch] = stretches.get(attempt.stretch, False) or fooled
    rates = {'retrieval_fooled': [attempt.after[RETRIEVAL].at_target for attempt in attempts]}
    for mode in MODES:
        rates[f'wrong_prior_{mode}'] = (
            [*stretches.values()]
            if mode == DRIVING
            else [attempt.after[mode].accepted_wrong for attempt in attempts]
        )
    return {name: _rate(fooled) for name, fooled in rates.items() if fooled}


def _rate(fooled: Sequence[bool]) -> dict[str, Any]:
    count, of = sum(fooled), len(fooled)
    interval = binomtest(count, of).proportion_ci(CONFIDENCE, method='exact')
    return {'count': count, 'of': of, 'low': float(interval.low), 'high': float(interval.high)}
