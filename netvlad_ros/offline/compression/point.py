"""One way to store descriptors, judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from netvlad_ros.offline.metrics.bootstrap import Interval


@dataclass(frozen=True)
class Point:
    """One way to store descriptors. recall: N -> share of the answerable queries, in 0..1.

    intervals: of 95 % over the queries. to_exact: recall@1 less that of the whole descriptors, on
    the same queries. None with fewer than two answerable queries. fitted: whitening or code learned
    from images. front: nothing of as many bytes
    or fewer has as much recall@1.
    """

    whitening: str
    dimensions: int
    code: str
    bytes_per_place: int
    shared_bytes: int
    recall: dict[int, float]
    intervals: dict[int, Interval | None]
    to_exact: Interval | None
    fitted: bool = False
    front: bool = False

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return asdict(self)


def marked(points: Sequence[Point]) -> tuple[Point, ...]:
    """Points by bytes, then by recall@1, those on the Pareto front marked."""
    best = -1.0
    ordered = []
    for point in sorted(points, key=lambda each: (each.bytes_per_place, -each.recall[1])):
        ordered.append(replace(point, front=point.recall[1] > best))
        best = max(best, point.recall[1])
    return tuple(ordered)
