"""EvaluatedRun, EvaluatedQuery: what a report needs to know of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array

Read = Callable[[int], NDArray[np.uint8] | None]


@dataclass(frozen=True, eq=False)
class EvaluatedQuery:
    """One query and its answer; None or '' where the evaluation does not know it.

    Attributes:
        image: name of the query.
        ranked: places, best first.
        right: the right places; empty = the map has none.
        stamp_ns: when the query was taken [ns].
        T_true: (4, 4), true camera pose in the map frame.
        similarity: of the best place.
        probability: that the estimate shows the right place.
        shows_place: whether it does.
        status: the verdict.
        reason: why, in words.
        T_prior: (4, 4), the accepted camera pose in the map frame.
        method: by which the accepted pose was computed.
        error_m: distance of the accepted pose from the truth [m].
        error_deg: the same for the rotation [deg].
        wrong: whether the accepted answer is out of the tolerances.
        sequence_status: the verdict with belief over time.
        sequence_probability: the same for the probability.
        sequence_wrong: the same for `wrong`.
        sequence_error_m: the same for `error_m` [m].
        sequence_error_deg: the same for `error_deg` [deg].
    """

    image: str
    ranked: Sequence[int]
    right: Sequence[int] | NDArray[np.int64] | None = None
    stamp_ns: int | None = None
    T_true: Array | None = None
    similarity: float | None = None
    probability: float | None = None
    shows_place: bool | None = None
    status: str = ''
    reason: str = ''
    T_prior: Array | None = None
    method: str = ''
    error_m: float | None = None
    error_deg: float | None = None
    wrong: bool | None = None
    sequence_status: str = ''
    sequence_probability: float | None = None
    sequence_wrong: bool | None = None
    sequence_error_m: float | None = None
    sequence_error_deg: float | None = None

    @property
    def answerable(self) -> bool | None:
        """Whether the map has a right place; None where that is not known."""
        return None if self.right is None else len(self.right) > 0

    @property
    def first_right_rank(self) -> int | None:
        """Rank of the first right place among the ranked, 1 = best; None if none or unknown."""
        if self.right is None or not len(self.right):
            return None
        right = {int(place) for place in self.right}
        ranks = (rank for rank, place in enumerate(self.ranked, 1) if int(place) in right)
        return next(ranks, None)


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """An evaluation of Q queries against N places.

    Attributes:
        title: of the report.
        metrics: plain JSON, as in metrics.json.
        configuration: what was asked for, by name.
        queries: (Q,), in order.
        places: (N,), names of the map's images.
        T_places: (N, 4, 4), their camera poses in the map frame.
        similarity: (rows, columns), largest cosine of each block of queries and places.
        read_query: index -> pixels of a query, uint8 (H, W, 3) RGB, or None if they are gone.
            Ascending order is fastest.
        read_place: the same for a place.
        pictures: file name -> title, of pictures that the evaluation drew into the report's folder.
    """

    title: str
    metrics: Mapping[str, Any]
    configuration: Mapping[str, Any]
    queries: Sequence[EvaluatedQuery]
    places: Sequence[str]
    T_places: Array | None = None
    similarity: NDArray[np.float32] | None = None
    read_query: Read = lambda index: None
    read_place: Read = lambda index: None
    pictures: Mapping[str, str] = field(default_factory=dict)
