"""What accepting and refusing costs and brings: arrays in, numbers out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.geometry import Array


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall over the acceptance threshold, from the strictest to the loosest.

    threshold: (m,), falling; accepted is what reaches it. precision: right among the accepted.
    recall: accepted and right among the answerable queries, nan if none is answerable.
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
    """Sweep the threshold over scores (n,) of answers that are right or not (n,).

    answerable: queries that could be answered right, whether they got an answer or not. Answers
    of equal score are accepted together: no threshold tells them apart.
    """
    scores = np.asarray(score, dtype=np.float64)
    order = np.argsort(-scores, kind='stable')
    scores, hits = scores[order], np.cumsum(np.asarray(right, dtype=np.float64)[order])
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])
    hits = hits[last]
    recall = hits / answerable if answerable else np.full(len(last), np.nan)
    return PrecisionRecall(scores[last], hits / (last + 1.0), recall)


@dataclass(frozen=True)
class FirstFix:
    """From a cold start to the first right accepted answer; frames, seconds: None if never.

    frames: images until then, that one included. wrong_before: wrong answers accepted before it.
    """

    frames: int | None
    seconds: float | None
    wrong_before: int


def first_fix(
    accepted: NDArray[np.bool_], right: NDArray[np.bool_], stamps_ns: NDArray[np.int64]
) -> FirstFix:
    """Find the first right answer among images in order of time: arrays (n,)."""
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
