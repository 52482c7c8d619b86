"""What an attack did to the robot's answer, and to the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.geometry import Array, around
from netvlad_ros.training.attack.attacked_localizer import DRIVING, RETRIEVAL, WAYS

CONFIDENCE = 0.95
COUNTED = ('at_target', 'at_truth', 'accepted', 'accepted_wrong', 'accepted_target')


@dataclass(frozen=True)
class Answered:
    """What the localizer said of one image, one way.

    retrieved: row of the map of the best candidate. at_target, at_truth: whether that shows the
    target's place, the true one. accepted: whether there was a prior; accepted_wrong: and it lies
    outside the true place; accepted_target: and inside the target's.
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
        """Compare an answer with where the image was taken and where it was to be sent.

        T_true, T_target: (4, 4), camera in the map. radius_m [m], radius_deg [deg]: of a place.
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
    """One image sent to one place; everything was judged on the file that was written.

    stretch: number of the images that were shown in one drive, all of them sent to this target.
    carrier: the image's name in the drive; image: the file. target: row of the map. similarity:
    cosine to the target's descriptor, before and after. max_change, rms_change: of pixels in
    0..255. before, after: of the carrier and of the attacked image, by WAYS; of many looks the
    worst.
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


def attack_figures(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """How often which answer was fooled, out of how many; plain JSON.

    rates: of the attacked images, with Clopper-Pearson intervals as if they were independent;
    those of driving count stretches, for the images of one are not.
    """

    def counted(answers: Callable[[Attempt], dict[str, Answered]]) -> dict[str, Any]:
        return {
            way: {
                name: sum(getattr(answers(attempt)[way], name) for attempt in attempts)
                for name in COUNTED
            }
            for way in WAYS
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
    for way in WAYS:
        rates[f'wrong_prior_{way}'] = (
            [*stretches.values()]
            if way == DRIVING
            else [attempt.after[way].accepted_wrong for attempt in attempts]
        )
    return {name: _rate(fooled) for name, fooled in rates.items() if fooled}


def _rate(fooled: Sequence[bool]) -> dict[str, Any]:
    count, of = sum(fooled), len(fooled)
    interval = binomtest(count, of).proportion_ci(CONFIDENCE, method='exact')
    return {'count': count, 'of': of, 'low': float(interval.low), 'high': float(interval.high)}
