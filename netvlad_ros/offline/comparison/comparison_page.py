"""The page of a comparison: table, sentences and picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netvlad_ros.offline.comparison.comparison_run import BenchmarkFolder
from netvlad_ros.offline.comparison.comparison_table import (
    COST_DIGITS,
    COSTS,
    Group,
    groups,
    legend,
)
from netvlad_ros.offline.comparison.leaderboard import Leaderboard
from netvlad_ros.offline.report.environment import environment
from netvlad_ros.offline.report.metric_table import flat
from netvlad_ros.offline.report.page import Page


def comparison_page(
    leaderboard: Leaderboard,
    benchmark_folders: Sequence[BenchmarkFolder],
    settings: Mapping[str, Any],
    picture: Path,
) -> bytes:
    """Write one HTML file that opens offline; `picture` is that of draw_comparison."""
    known = environment()
    methods, benchmarks = len(leaderboard.methods), len(benchmark_folders)
    page = Page(
        f'{methods} methods on {benchmarks} benchmark{"s" if benchmarks > 1 else ""}',
        ', '.join(leaderboard.benchmarks) + f'; written {known["written"]}',
    )
    page.section('Comparison')
    names, *columns = groups(leaderboard)
    costs = [group for group in columns if group.heads[0] in COST_DIGITS]
    _table(page, [names, *(_with_interval(group) for group in columns if group not in costs)])
    page.text(f'{legend(leaderboard)}.')
    for sentence in leaderboard.sentences():
        page.text(f'{sentence}.')
    page.heading('What it costs')
    page.text(f'Each method in a process of its own; {COSTS}.')
    _table(page, [names, *costs])
    page.section('Picture')
    page.picture(picture.read_bytes(), 'Recall@1, and what it costs, a line for each method')
    page.section('Benchmarks')
    page.table(
        ('benchmark', 'right is', 'places', 'queries', 'answerable', 'images missing'),
        [
            (
                benchmark_folder.name,
                benchmark_folder.benchmark.protocol,
                str(len(benchmark_folder.benchmark.database)),
                str(len(benchmark_folder.benchmark.queries)),
                str(benchmark_folder.answerable),
                str(len(benchmark_folder.benchmark.missing)),
            )
            for benchmark_folder in benchmark_folders
        ],
    )
    page.text(
        'The folder of each method on each benchmark, BENCHMARK/METHOD beside this page, has a '
        'report of its own with the worst failures.'
    )
    page.section('Configuration')
    page.table(('setting', 'value'), flat(settings).items())
    page.section('Environment')
    page.table(('what', 'value'), known.items())
    return page.html()


def _table(page: Page, columns: Sequence[Group]) -> None:
    heads = [f'{group.title} {head}'.strip() for group in columns for head in group.heads]
    rows = zip(*(group.rows for group in columns), strict=True)
    page.table(heads, ([cell for part in row for cell in part] for row in rows))


def _with_interval(group: Group) -> Group:
    """R@1 and its interval in one column, half as wide as two."""
    if '95 %' not in group.heads:
        return group
    rows = [
        [row[0].strip() + ('' if row[1] == '-' else f' ({row[1]})'), *row[2:]] for row in group.rows
    ]
    return replace(group, heads=['R@1 (95 %)', *group.heads[2:]], rows=rows)
