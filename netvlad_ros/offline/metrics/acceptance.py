"""Accepted and wrong answers, precision and recall over the threshold, the first right answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.geometry import Array


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall over the acceptance threshold, from the strictest to the loosest.

    Attributes:
        threshold: (m,), falling; an answer is accepted if its score reaches it.
        precision: (m,), share of right answers among the accepted.
        recall: (m,), accepted right answers over answerable queries; nan if none is answerable.
    """

    threshold: Array
    precision: Array
    recall: Array

    @property
    def recall_at_full_precision(self) -> float | None:
        """Largest recall of a threshold with no wrong acceptance; None if nothing is answerable."""
        if np.isnan(self.recall).any():
            return None
        return float(self.recall[self.precision == 1.0].max(initial=0.0))


def precision_recall(score: ArrayLike, right: ArrayLike, answerable: int) -> PrecisionRecall:
    """Sweep the acceptance threshold over the scores of n answers.

    Answers of equal score are accepted together: no threshold separates them.

    Args:
        score: (n,), such as the probability of each answer.
        right: (n,), whether the answer is right.
        answerable: number of queries that have a right answer, found or not.
    """
    scores = np.asarray(score, dtype=np.float64)
    order = np.argsort(-scores, kind='stable')
    scores, hits = scores[order], np.cumsum(np.asarray(right, dtype=np.float64)[order])
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])
    hits = hits[last]
    recall = hits / answerable if answerable else np.full(len(last), np.nan)
    return PrecisionRecall(scores[last], hits / (last + 1.0), recall)


@dataclass(frozen=True)
class Acceptance:
    """How many answers were accepted, and how many of these were wrong.

    Attributes:
        answers: number of all answers.
        accepted: number of accepted answers.
        wrong: number of accepted answers that are wrong.
    """

    answers: int
    accepted: int
    wrong: int

    @classmethod
    def of(cls, accepted: NDArray[np.bool_], right: NDArray[np.bool_]) -> Acceptance:
        """Count answers, each accepted or not (n,) and right or not (n,)."""
        return cls(len(accepted), int(accepted.sum()), int((accepted & ~right).sum()))

    @property
    def share(self) -> float:
        """Share of the answers that were accepted, in 0..1."""
        return self.accepted / self.answers

    @property
    def precision(self) -> float | None:
        """Share of right answers among the accepted, in 0..1; None if none was accepted."""
        return 1 - self.wrong / self.accepted if self.accepted else None

    @property
    def wrong_per_1000(self) -> float | None:
        """Wrong accepted answers in 1000 images; None if there were no images."""
        return per_1000(self.wrong, self.answers)

    def to_json(self) -> dict[str, Any]:
        """The counts and shares as metrics.json has them."""
        return {
            'accepted': self.accepted,
            'accepted_wrong': self.wrong,
            'accepted_share': self.share,
            'precision': self.precision,
            'wrong_per_1000': self.wrong_per_1000,
        }


def mode_json(acceptance: Acceptance, curve: PrecisionRecall) -> dict[str, Any]:
    """What modes of localizing are compared by, as metrics.json has it under `settings`."""
    return {
        'accepted': acceptance.accepted,
        'accepted_wrong': acceptance.wrong,
        'wrong_per_1000': acceptance.wrong_per_1000,
        'recall_at_100_precision': curve.recall_at_full_precision,
    }


@dataclass(frozen=True)
class FirstFix:
    """From a cold start to the first right accepted answer.

    Attributes:
        frames: number of images until then, that one included; None if never.
        seconds: time until then [s]; None if never.
        wrong_before: number of wrong answers accepted before it.
    """

    frames: int | None
    seconds: float | None
    wrong_before: int


def first_fix(
    accepted: NDArray[np.bool_], right: NDArray[np.bool_], stamps_ns: NDArray[np.int64]
) -> FirstFix:
    """Find the first right accepted answer among n images in order of time.

    Args:
        accepted: (n,), whether the answer was accepted.
        right: (n,), whether the answer is right.
        stamps_ns: int64 (n,), when the images were taken [ns].
    """
    fixes = np.flatnonzero(accepted & right)
    wrong = accepted & ~right
    if not len(fixes):
        return FirstFix(None, None, int(wrong.sum()))
    first = int(fixes[0])
    seconds = 1e-9 * float(stamps_ns[first] - stamps_ns[0])
    return FirstFix(first + 1, seconds, int(wrong[:first].sum()))


def per_1000(events: int, images: int) -> float | None:
    """How often something happens in 1000 images; None if there were none."""
    return 1000.0 * events / images if images else None
