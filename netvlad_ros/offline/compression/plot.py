"""The plot of a compression study: recall@1 over bytes per place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from netvlad_ros.offline.compression.projections import WHITENINGS
from netvlad_ros.offline.compression.quantization import QUANTIZATIONS
from netvlad_ros.offline.compression.study import StorageOption, Study
from netvlad_ros.offline.report.plots import COLOURS, write_figure

MARKERS = dict(zip(WHITENINGS, ('o', 'D', 's', '^', 'v', 'P'), strict=True))
MARGIN = 1.0  # share of the range above the front's lowest point that is drawn below it


def draw(study: Study, title: str, path: Path) -> None:
    """Draw a study as PNG: the colour shows the quantization, the marker the whitening.

    The Pareto front is a line of steps. Its options are numbered and have 95 % intervals. Options
    far below the front are left out.

    Raises:
        NetvladError: the file cannot be written.
    """
    options = study.options
    kinds = dict.fromkeys(map(_kind, QUANTIZATIONS))
    colours = dict(zip(kinds, COLOURS, strict=False))
    figure = Figure(figsize=(10, 6), layout='constrained')
    axes = figure.subplots()
    axes.set_xscale('log', base=2)
    for option in options:
        axes.plot(
            option.bytes_per_place,
            100 * option.recall[1],
            marker=MARKERS[option.whitening],
            color=colours[_kind(option.quantization)],
            markersize=5,
            alpha=0.55,
            zorder=2,
        )
    exact = axes.axhline(
        100 * study.exact, color='0.4', linestyle=':', linewidth=1, label='whole descriptors'
    )
    front = [option for option in options if option.front]
    names = _draw_front(axes, front)
    best = 100 * min(study.exact, front[0].recall[1])
    lowest = 100 * min(option.recall[1] for option in options)
    floor = max(best - MARGIN * (101 - best), lowest) - 2
    axes.set_ylim(floor, 102)
    below = sum(100 * option.recall[1] < floor for option in options)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f'{value:g}'))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(
        'bytes per place' + (f' ({below} of {len(options)} lie lower)' if below else '')
    )
    axes.set_ylabel('recall@1 [%]')
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.3)
    seen = (
        {_kind(option.quantization) for option in options},
        {option.whitening for option in options},
    )
    handles = [
        *(
            Line2D([], [], color=colours[kind], linewidth=5, label=kind)
            for kind in kinds
            if kind in seen[0]
        ),
        *(
            Line2D([], [], color='0.4', marker=marker, linestyle='', label=name)
            for name, marker in MARKERS.items()
            if name in seen[1]
        ),
        Line2D([], [], color='k', marker='o', markerfacecolor='none', label='Pareto front, 95 %'),
        *(Line2D([], [], linestyle='', label=name) for name in names),
        exact,
    ]
    figure.legend(handles=handles, loc='outside right upper', fontsize=9)
    write_figure(figure, path)


def _draw_front(axes: Axes, front: Sequence[StorageOption]) -> list[str]:
    """Draw the front, its options numbered; returns what each number stands for."""
    spent = [option.bytes_per_place for option in front]
    recall = [100 * option.recall[1] for option in front]
    axes.step(spent, recall, where='post', color='k', linewidth=1, zorder=3)
    names = []
    for number, (x, y, option) in enumerate(zip(spent, recall, front, strict=True), 1):
        interval = option.intervals[1]
        if interval is not None:
            axes.plot([x, x], [100 * interval.low, 100 * interval.high], color='0.6', zorder=1)
        axes.plot(x, y, marker='o', color='k', markerfacecolor='none', markersize=9, zorder=4)
        axes.annotate(str(number), (x, y), (-12, 4), textcoords='offset points', fontsize=9)
        names.append(f'{number}: {option.dimensions} {option.whitening} {option.quantization}')
    return names


def _kind(quantization: str) -> str:
    """The kind for the legend: product quantizers of all sizes are one, as bytes are the axis."""
    return 'product' if quantization.startswith('pq') else quantization
