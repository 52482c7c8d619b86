"""The page of a comparison: its table, what it says of ours, and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netvlad_ros.offline.methods.comparison_run import Subject
from netvlad_ros.offline.methods.comparison_table import groups, legend
from netvlad_ros.offline.methods.standings import Standings
from netvlad_ros.offline.report.environment import environment
from netvlad_ros.offline.report.figure_table import flat
from netvlad_ros.offline.report.page import Page


def comparison_page(
    standings: Standings,
    subjects: Sequence[Subject],
    settings: Mapping[str, Any],
    picture: Path,
) -> bytes:
    """One HTML file that opens offline. picture: of draw_comparison."""
    known = environment()
    methods, benchmarks = len(standings.methods), len(subjects)
    page = Page(
        f'{methods} methods on {benchmarks} benchmark{"s" if benchmarks > 1 else ""}',
        ', '.join(standings.benchmarks) + f'; written {known["written"]}',
    )
    page.section('Comparison')
    columns = groups(standings)
    heads = [f'{group.title} {head}'.strip() for group in columns for head in group.heads]
    rows = zip(*(group.rows for group in columns), strict=True)
    page.table(heads, ([cell for part in row for cell in part] for row in rows))
    page.text(f'{legend(standings)}.')
    for sentence in standings.sentences():
        page.text(f'{sentence}.')
    page.section('Picture')
    page.picture(picture.read_bytes(), 'Recall@1, and what it costs, a line for each method')
    page.section('Benchmarks')
    page.table(
        ('benchmark', 'right is', 'places', 'queries', 'answerable', 'images missing'),
        [
            (
                subject.name,
                subject.benchmark.protocol,
                str(len(subject.benchmark.database)),
                str(len(subject.benchmark.queries)),
                str(subject.answerable),
                str(len(subject.benchmark.missing)),
            )
            for subject in subjects
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
