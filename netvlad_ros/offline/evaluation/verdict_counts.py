"""Counts of verdicts, and mean times, over the answers to a drive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netvlad_ros.core.decision.match import Status
from netvlad_ros.core.place_map.calibration import METHODS
from netvlad_ros.offline.evaluation.localized_drive import MatchSummary


@dataclass(frozen=True)
class VerdictCounts:
    """How many answers got each verdict.

    Attributes:
        ambiguous: answers that several places explain.
        no_match: answers that no place explains.
        methods: method of the pose -> number of accepted answers.
    """

    ambiguous: int
    no_match: int
    methods: Mapping[str, int]

    @classmethod
    def of(cls, answers: Sequence[MatchSummary]) -> VerdictCounts:
        """Count answers."""
        methods = Counter(answer.prior.method for answer in answers if answer.prior is not None)
        return cls(
            ambiguous=sum(answer.status is Status.AMBIGUOUS for answer in answers),
            no_match=sum(answer.status is Status.NO_MATCH for answer in answers),
            methods={method: methods[method] for method in METHODS},
        )

    def to_json(self) -> dict[str, Any]:
        """The counts as metrics.json has them."""
        return {
            'ambiguous': self.ambiguous,
            'no_match': self.no_match,
            'methods': dict(self.methods),
        }


def mean_timings_ms(answers: Sequence[MatchSummary]) -> dict[str, float]:
    """Mean time of each stage [ms], over the images that went through it."""
    stages = {stage: None for answer in answers for stage in answer.timings_ms}
    return {
        stage: float(np.mean([a.timings_ms[stage] for a in answers if stage in a.timings_ms]))
        for stage in stages
    }
