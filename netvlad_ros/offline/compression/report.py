"""Table and report.html of a compression study."""

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


def compression_page(study: Study, metrics: Mapping[str, Any], picture: bytes) -> bytes:
    """The page as HTML.

    Args:
        study: what was measured.
        metrics: as in metrics.json.
        picture: the plot, as PNG.
    """
    known = environment()
    page = Page(
        f'Compression on {metrics["benchmark"]}',
        f'{metrics["answerable"]} queries of {metrics["queries"]} have an answer among '
        f'{metrics["database"]} places; written {known["written"]}',
    )
    page.section('Summary')
    smallest = next((option for option in study.options if option.recall[1] >= study.exact), None)
    tiles = {'recall@1, whole descriptors': f'{100 * study.exact:.1f} %'}
    if smallest is not None:
        name = f'{smallest.dimensions} {smallest.whitening} {smallest.quantization}'
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
    page.table(HEADER, (cells(option) for option in best_of_each(study.options)))
    if study.left_out:
        page.section('Left out')
        reasons = Counter(study.left_out.values())
        page.table(('reason', 'points'), ((why, str(n)) for why, n in reasons.items()))
    page.section('All points')
    page.table(HEADER, (cells(option) for option in study.options))
    page.section('Configuration')
    page.table(('setting', 'value'), flat(metrics).items())
    page.section('Environment')
    page.table(('what', 'value'), known.items())
    return page.html()


def cells(option: StorageOption) -> list[str]:
    """An option as a row below HEADER; * marks the Pareto front."""
    return [
        '*' if option.front else '',
        str(option.bytes_per_place),
        f'{option.shared_bytes / 1e3:.0f}',
        str(option.dimensions),
        option.quantization,
        option.whitening,
        'yes' if option.fitted else 'no',
        *(_cell(share, option.intervals[n]) for n, share in option.recall.items()),
        '-' if option.to_exact is None else _cell(option.to_exact.estimate, option.to_exact),
    ]


def best_of_each(options: Sequence[StorageOption]) -> list[StorageOption]:
    """For each size and quantization the whitening with most recall@1; options come by bytes."""
    best: dict[tuple[int, str], StorageOption] = {}
    for option in options:  # with equal bytes, the better comes first
        best.setdefault((option.dimensions, option.quantization), option)
    return list(best.values())


def _cell(share: float, interval: Interval | None) -> str:
    ends = '' if interval is None else f' [{100 * interval.low:.1f}, {100 * interval.high:.1f}]'
    return f'{100 * share:.1f}{ends}'
