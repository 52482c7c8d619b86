"""Table and report.html."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netvlad_ros.offline.compression.study import StorageOption, Study
from netvlad_ros.offline.report.environment import environment
from netvlad_ros.offline.report.metric_table import flat
from netvlad_ros.offline.report.page import Page

if TYPE_CHECKING:
    from netvlad_ros.offline.metrics.bootstrap import Interval


def compression_page(study: Study, metrics: Mapping[str, Any], picture: bytes) -> bytes:
    """Write the page: metrics as in metrics.json, picture a PNG."""
    known = environment()
    page = Page(
        f'Compression on {metrics["benchmark"]}',
        f'{metrics["answerable"]} queries of {metrics["queries"]} have an answer among '
        f'{metrics["database"]} places; written {known["written"]}',
    )
    page.section('Summary')
    smallest = next((point for point in study.points if point.recall[1] >= study.exact), None)
    tiles = {'recall@1, whole descriptors': f'{100 * study.exact:.1f} %'}
    if smallest is not None:
        name = f'{smallest.dimensions} {smallest.whitening} {smallest.code}'
        tiles[f'bytes per place of the least with as much: {name}'] = str(smallest.bytes_per_place)
    tiles['images fitted on'] = str(metrics['fitted_images'])
    page.tiles(tiles)
    source = metrics['fitted_on']
    page.text(f'Fitted on: {"the database itself" if source == "database" else source}.')
    if metrics['warning']:
        page.text(f'Warning: {metrics["warning"]}.')
    page.section('Recall over bytes')
    page.picture(picture, 'Recall@1 over bytes per place')
    page.section('Table')
    page.text(
        'Of each size and code the whitening that finds most; * = nothing of as few bytes finds '
        'more. fitted: whether whitening or code learned from images. The best of many is a little '
        'lucky: look at the intervals, which are bootstraps over queries.'
    )
    page.table(HEADER, (cells(point) for point in best_of_each(study.points)))
    if study.left_out:
        page.section('Left out')
        reasons = Counter(study.left_out.values())
        page.table(('reason', 'points'), ((why, str(n)) for why, n in reasons.items()))
    page.section('All points')
    page.table(HEADER, (cells(point) for point in study.points))
    page.section('Configuration')
    page.table(('setting', 'value'), flat(metrics).items())
    page.section('Environment')
    page.table(('what', 'value'), known.items())
    return page.html()


HEADER = (
    '',
    'bytes',
    'shared kB',
    'dim',
    'code',
    'whitening',
    'fitted',
    'R@1 [95 %]',
    'R@5 [95 %]',
    'R@1 less exact',
)
NUMBERS = ('bytes', 'shared kB', 'dim', 'R@1 [95 %]', 'R@5 [95 %]', 'R@1 less exact')


def cells(point: StorageOption) -> list[str]:
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


def best_of_each(points: Sequence[StorageOption]) -> list[StorageOption]:
    """Of each size and code the whitening of most recall@1; points come in order of bytes."""
    best: dict[tuple[int, str], StorageOption] = {}
    for point in points:  # of equal bytes the better comes first
        best.setdefault((point.dimensions, point.code), point)
    return list(best.values())


def _cell(share: float, interval: Interval | None) -> str:
    ends = '' if interval is None else f' [{100 * interval.low:.1f}, {100 * interval.high:.1f}]'
    return f'{100 * share:.1f}{ends}'
