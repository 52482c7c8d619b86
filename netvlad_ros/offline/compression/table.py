"""The table of a compression study, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netvlad_ros.offline.compression.point import Point

if TYPE_CHECKING:
    from netvlad_ros.offline.metrics.bootstrap import Interval

HEADER = (
    *('', 'bytes', 'shared kB', 'dim', 'code', 'whitening', 'fitted'),
    *('R@1 [95 %]', 'R@5 [95 %]', 'R@1 less exact'),
)
NUMBERS = ('bytes', 'shared kB', 'dim', 'R@1 [95 %]', 'R@5 [95 %]', 'R@1 less exact')


def cells(point: Point) -> list[str]:
    """A point as a row below HEADER; * marks the Pareto front."""
    return [
        '*' if point.front else '',
        str(point.bytes_per_place),
        f'{point.shared_bytes / 1e3:.0f}',
        str(point.dimensions),
        point.code,
        point.whitening,
        'yes' if point.fitted else 'no',
        *(_cell(share, point.intervals[n]) for n, share in point.recall.items()),
        '-' if point.to_exact is None else _cell(point.to_exact.estimate, point.to_exact),
    ]


def best_of_each(points: Sequence[Point]) -> list[Point]:
    """Of each size and code the whitening of most recall@1; points come in order of bytes."""
    best: dict[tuple[int, str], Point] = {}
    for point in points:  # of equal bytes the better comes first
        best.setdefault((point.dimensions, point.code), point)
    return list(best.values())


def _cell(share: float, interval: Interval | None) -> str:
    ends = '' if interval is None else f' [{100 * interval.low:.1f}, {100 * interval.high:.1f}]'
    return f'{100 * share:.1f}{ends}'
