"""RerankedRecall: recall after the most similar images were compared by local features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netvlad_ros.offline.metrics.accuracy import RECALL_AT, Recall, recall_at_n
from netvlad_ros.offline.metrics.intervals import Intervals, intervals, recall_columns


@dataclass(frozen=True, eq=False)
class RerankedRecall:
    """Recall of reranked images.

    Attributes:
        recall: of the order.
        intervals: of the recall.
        ms: mean time to rerank the images of a query [ms].
    """

    recall: Recall
    intervals: Intervals
    ms: float

    @classmethod
    def of(
        cls, ranked: Sequence[list[int]], right: Sequence[set[int]], times_ms: Sequence[float]
    ) -> RerankedRecall:
        """The recall of Q queries.

        Args:
            ranked: (Q,), rows of the database for each query, best first.
            right: (Q,), right rows of the database for each query.
            times_ms: (Q,), time to rerank [ms].
        """
        columns = recall_columns(ranked, right, RECALL_AT)
        named = {f'{key}_reranked': column for key, column in columns.items()}
        return cls(recall_at_n(ranked, right), intervals(named), float(np.mean(times_ms)))

    def to_json(self) -> dict[str, Any]:
        """The metrics as metrics.json has them, without the intervals."""
        return {'recall_reranked': self.recall.to_json()['recall'], 'reranking_ms': self.ms}
