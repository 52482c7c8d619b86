"""Picture of a comparison: recall and cost of the methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netvlad_ros.offline.comparison.leaderboard import OURS, Leaderboard, recall_at_1
from netvlad_ros.offline.report.plots import write_figure
from netvlad_ros.offline.report.safe_text import label as safe

OURS_COLOUR, OTHERS_COLOUR = '#d1495b', '#30638e'
LOGARITHMIC = ('bytes/place', 'ms/image', 'ms/query')
COSTS = (*LOGARITHMIC, 'peak MB')
PANEL_INCHES, ROW_INCHES = 2.1, 0.27
LEAST_ROWS = 8  # below it, the panels would be lower than their titles are wide


def draw_comparison(leaderboard: Leaderboard, path: Path) -> None:
    """Draw a line for each method, best on top, through panels of recall@1 and of costs.

    Lines keep methods of equal recall legible; labelled points would not.

    Raises:
        NetvladError: the file cannot be written.
    """
    methods = sorted(leaderboard.methods, key=lambda name: leaderboard.mean_recall(name) or 0)
    panels = len(leaderboard.benchmarks) + len(COSTS)
    figure = Figure(
        figsize=(2 + PANEL_INCHES * panels, 1.6 + ROW_INCHES * max(len(methods), LEAST_ROWS)),
        layout='constrained',
    )
    figure.suptitle(
        'recall@1 with its interval of 95 % over the queries, and what it costs (*: beats netvlad, '
        '**: beyond chance)'
    )
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for panel, benchmark in zip(axes, leaderboard.benchmarks, strict=False):
        _recalls(panel, leaderboard, methods, benchmark)
    for panel, cost in zip(axes[len(leaderboard.benchmarks) :], COSTS, strict=True):
        _costs(panel, leaderboard, methods, cost)
    axes[0].set_yticks(range(len(methods)), [safe(name) for name in methods])
    axes[0].set_ylim(-0.7, len(methods) - 0.3)
    for tick, name in zip(axes[0].get_yticklabels(), methods, strict=True):
        tick.set_color(_colour(name))
    write_figure(figure, path)


def _recalls(axes: Axes, leaderboard: Leaderboard, methods: Sequence[str], benchmark: str) -> None:
    for row, name in enumerate(methods):
        metrics = leaderboard.of(benchmark, name)
        share = recall_at_1(metrics)
        if metrics is None or share is None:
            _words(axes, row, name, '–')
            continue
        if metrics['recall_at_1_interval'] is not None:
            ends = [100 * end for end in metrics['recall_at_1_interval']]
            axes.plot(ends, [row, row], color=_colour(name), alpha=0.5)
        axes.plot(100 * share, row, 'o', color=_colour(name), markersize=5)
        _words(axes, row, name, f'{100 * share:.1f}{leaderboard.mark(benchmark, name)}')
    axes.set(xlim=(0, 103), title=safe(benchmark), xlabel='recall@1 [%]')
    axes.grid(alpha=0.3)


def _costs(axes: Axes, leaderboard: Leaderboard, methods: Sequence[str], cost: str) -> None:
    for row, name in enumerate(methods):
        value = leaderboard.costs(name)[cost]
        if value is not None:
            axes.plot(value, row, 'o', color=_colour(name), markersize=5)
            _words(axes, row, name, f'{value:.0f}' if value >= 100 else f'{value:.2g}')
    if cost in LOGARITHMIC:
        axes.set_xscale('log')
    else:
        axes.set_xlim(left=0)
    axes.set(title=cost)
    axes.grid(alpha=0.3)


def _words(axes: Axes, row: int, name: str, text: str) -> None:
    """Write the number on the right of the panel, where no point is."""
    axes.annotate(
        text,
        (1, row),
        xycoords=('axes fraction', 'data'),
        xytext=(4, 0),
        textcoords='offset points',
        va='center',
        fontsize=8,
        color=_colour(name),
    )


def _colour(name: str) -> str:
    return OURS_COLOUR if name == OURS else OTHERS_COLOUR
