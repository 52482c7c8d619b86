"""The picture of a compression study: recall@1 over bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from netvlad_ros.offline.compression.projections import WHITENINGS
from netvlad_ros.offline.compression.quantization import CODES
from netvlad_ros.offline.compression.study import StorageOption, Study
from netvlad_ros.offline.report.plots import COLOURS, write_figure

MARKERS = dict(zip(WHITENINGS, ('o', 'D', 's', '^', 'v', 'P'), strict=True))
MARGIN = 1.0  # below the front's lowest point, of what is above it


def draw(study: Study, title: str, path: Path) -> None:
    """Draw a study: colour tells the code, shape the whitening. Raises NetvladError.

    The Pareto front is a numbered step with its 95 % intervals; what lies far below is left out.
    """
    points = study.points
    kinds = dict.fromkeys(map(_kind, CODES))
    colours = dict(zip(kinds, COLOURS, strict=False))
    figure = Figure(figsize=(10, 6), layout='constrained')
    axes = figure.subplots()
    axes.set_xscale('log', base=2)
    for point in points:
        axes.plot(
            point.bytes_per_place,
            100 * point.recall[1],
            marker=MARKERS[point.whitening],
            color=colours[_kind(point.code)],
            markersize=5,
            alpha=0.55,
            zorder=2,
        )
    exact = axes.axhline(
        100 * study.exact, color='0.4', linestyle=':', linewidth=1, label='whole descriptors'
    )
    front = [point for point in points if point.front]
    names = _draw_front(axes, front)
    best = 100 * min(study.exact, front[0].recall[1])
    lowest = 100 * min(point.recall[1] for point in points)
    floor = max(best - MARGIN * (101 - best), lowest) - 2
    axes.set_ylim(floor, 102)
    below = sum(100 * point.recall[1] < floor for point in points)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f'{value:g}'))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel('bytes per place' + (f' ({below} of {len(points)} lie lower)' if below else ''))
    axes.set_ylabel('recall@1 [%]')
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.3)
    seen = {_kind(point.code) for point in points}, {point.whitening for point in points}
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
    """Draw the front with its points numbered; what the numbers stand for."""
    spent = [point.bytes_per_place for point in front]
    recall = [100 * point.recall[1] for point in front]
    axes.step(spent, recall, where='post', color='k', linewidth=1, zorder=3)
    names = []
    for number, (x, y, point) in enumerate(zip(spent, recall, front, strict=True), 1):
        interval = point.intervals[1]
        if interval is not None:
            axes.plot([x, x], [100 * interval.low, 100 * interval.high], color='0.6', zorder=1)
        axes.plot(x, y, marker='o', color='k', markerfacecolor='none', markersize=9, zorder=4)
        axes.annotate(str(number), (x, y), (-12, 4), textcoords='offset points', fontsize=9)
        names.append(f'{number}: {point.dimensions} {point.whitening} {point.code}')
    return names


def _kind(code: str) -> str:
    """Product quantisers, of whatever size, are one kind: their size is the axis."""
    return 'product' if code.startswith('pq') else code
