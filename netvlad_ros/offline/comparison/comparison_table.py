"""The table of `netvlad compare`: a row for each method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netvlad_ros.offline.comparison.leaderboard import OURS, Leaderboard
from netvlad_ros.offline.evaluation.benchmark_ranking import Metrics
from netvlad_ros.offline.metrics.accuracy import RECALL_AT

GAP = '  '
UNITS = 'R@N and mAP in %, R@1 with its interval of 95 % over the queries'
COSTS = 'times and bytes are means over the benchmarks, memory is the largest'
MARKS = f'*: beats {OURS} at R@1, **: beyond the chance of the queries'
COST_DIGITS = {'ms/image': 1, 'ms/query': 2, 'fit s': 1, 'bytes/place': 0, 'peak MB': 0}


@dataclass(frozen=True)
class Group:
    """Columns that stay side by side.

    Attributes:
        title: above all of them.
        heads: title of each column.
        rows: cells of each method.
        left: whether cells are aligned to the left.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: bool = False

    def lines(self) -> list[str]:
        """Title, heads and rows, all of one width."""
        table = [self.heads, *self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            GAP.join(
                cell.ljust(width) if self.left else cell.rjust(width)
                for cell, width in zip(row, widths, strict=True)
            )
            for row in table
        ]
        wide = max(len(self.title), len(lines[0]))
        return [self.title.ljust(wide), *(line.ljust(wide) for line in lines)]


def groups(leaderboard: Leaderboard) -> list[Group]:
    """Columns of the table, from the names on the left to the papers on the right."""
    several = len(leaderboard.benchmarks) > 1
    found = [Group('', ['method'], [[name] for name in leaderboard.methods], left=True)]
    for benchmark in leaderboard.benchmarks:
        own = [leaderboard.of(benchmark, method) for method in leaderboard.methods]
        found.append(_recalls(leaderboard, benchmark, own, several))
    if several:
        means = [leaderboard.mean_recall(method) for method in leaderboard.methods]
        found.append(Group('mean', ['R@1'], [[percent(share)] for share in means]))
    costs = [leaderboard.costs(method) for method in leaderboard.methods]
    for name, digits in COST_DIGITS.items():
        values = (each[name] for each in costs)
        cells = ['-' if value is None else f'{value:.{digits}f}' for value in values]
        found.append(Group('', [name], [[cell] for cell in cells]))
    papers = [[leaderboard.paper(method)] for method in leaderboard.methods]
    return [*found, Group('', ['paper'], papers, left=True)]


def table(leaderboard: Leaderboard, width: int | None = None) -> list[str]:
    """Lines of the table; groups that exceed the width continue in further parts below."""
    names, *others = (group.lines() for group in groups(leaderboard))
    blocks = [[names]]
    for lines in others:
        used = sum(len(each[0]) + len(GAP) for each in blocks[-1])
        if width is not None and len(blocks[-1]) > 1 and used + len(lines[0]) > width:
            blocks.append([names])
        blocks[-1].append(lines)
    text: list[str] = []
    for block in blocks:
        joined = [GAP.join(parts).rstrip() for parts in zip(*block, strict=True)]
        text += ['', *joined] if joined[0] else ['', *joined[1:]]
    return text[1:]


def legend(leaderboard: Leaderboard) -> str:
    """What the metrics and marks of the table mean."""
    parts = [UNITS]
    if len(leaderboard.benchmarks) > 1:
        parts.append(COSTS)
    if OURS in leaderboard.methods:
        parts.append(MARKS)
    return '; '.join(parts)


def percent(share: float | None) -> str:
    """A share in per cent; '-' where there is none."""
    return '-' if share is None else f'{100 * share:.1f}'


def _recalls(
    leaderboard: Leaderboard, benchmark: str, own: Sequence[Metrics | None], several: bool
) -> Group:
    parts = list(next((metrics['retrieval'] for metrics in own if metrics is not None), ()))
    ranks = [] if several else [str(rank) for rank in RECALL_AT[1:]]
    heads = ['R@1', '95 %', *(f'R@{rank}' for rank in ranks)]
    heads += ['mAP' if part == 'all' else f'mAP {part}' for part in parts]
    rows = []
    marks = [leaderboard.mark(benchmark, method) for method in leaderboard.methods]
    for metrics, mark in zip(own, marks, strict=True):
        if metrics is None:
            rows.append(['failed', *['-'] * (len(heads) - 1)])
            continue
        interval = metrics['recall_at_1_interval']
        found = percent(metrics['recall']['1']) + mark.ljust(max(map(len, marks)))
        rows.append(
            [
                found,
                '-' if interval is None else '-'.join(f'{100 * end:.0f}' for end in interval),
                *(percent(metrics['recall'][rank]) for rank in ranks),
                *(percent(metrics['retrieval'][part]['mean_average_precision']) for part in parts),
            ]
        )
    return Group(benchmark if several else '', heads, rows)
