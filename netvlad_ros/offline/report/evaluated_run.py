"""One evaluation as a report shows it."""

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
    """One query and what was answered; None where the evaluation does not tell.

    stamp_ns: when it was taken [ns]. T_true: (4, 4), true camera pose in the map frame. ranked:
    places, best first. right: the right ones, empty = the map has none. similarity: of the best.
    probability: that the estimate is right; shows_place: whether it is. status, reason: the
    verdict, '' if none was asked for. T_prior: (4, 4), the accepted pose, method: how it came
    about; error_m [m], error_deg [deg]: its distance from the truth; wrong: accepted, and out of
    bounds. sequence_*: the same in the light of the images before.
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
        """Rank of the first right place among the ranked ones, 1 the best; None if there is none.

        None too where nobody knows what is right.
        """
        if self.right is None or not len(self.right):
            return None
        right = {int(place) for place in self.right}
        ranks = (rank for rank, place in enumerate(self.ranked, 1) if int(place) in right)
        return next(ranks, None)


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """An evaluation of Q queries against N places.

    metrics: plain JSON, what metrics.json holds. configuration: what was asked for, by name.
    queries: in order. places: names of the map's images, N. T_places: (N, 4, 4), their camera
    poses. similarity: (rows, columns), largest cosine of each block of queries and places.
    read_query, read_place: pixels of one of them, uint8 (H, W, 3) RGB, None where they are gone;
    queries are fastest in ascending order.
    pictures: file names in the report's folder, drawn by the evaluation itself, and their titles.
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
