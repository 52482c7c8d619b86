"""The picture of a compression study: recall@1 over bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from netvlad_ros.offline.compression.point import Point
from netvlad_ros.offline.evaluation_pictures import COLOURS
from netvlad_ros.offline.figure_file import write_figure

MARKERS = ('o', 's', '^', 'D', 'v')


def draw(points: Sequence[Point], title: str, path: Path) -> None:
    """Draw points: colour tells the code, shape the whitening. Raises NetvladError.

    The Pareto front is a step with its 95 % intervals; names stand where it gains.
    """
    codes = list(dict.fromkeys(_kind(point.code) for point in points))
    colours = dict(zip(codes, COLOURS, strict=False))
    markers = dict(zip(dict.fromkeys(point.whitening for point in points), MARKERS, strict=False))
    figure = Figure(figsize=(10, 6), layout='constrained')
    axes = figure.subplots()
    axes.set_xscale('log', base=2)
    for point in points:
        axes.plot(
            point.bytes_per_place,
            100 * point.recall[1],
            marker=markers[point.whitening],
            color=colours[_kind(point.code)],
            markersize=5,
            alpha=0.55,
            zorder=2,
        )
    _draw_front(axes, [point for point in points if point.front])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f'{value:g}'))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel('bytes per place')
    axes.set_ylabel('recall@1 [%]')
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.3)
    handles = [
        *(Line2D([], [], color=colours[code], linewidth=5, label=code) for code in codes),
        *(
            Line2D([], [], color='0.4', marker=marker, linestyle='', label=name)
            for name, marker in markers.items()
        ),
        Line2D([], [], color='k', marker='o', markerfacecolor='none', label='Pareto front, 95 %'),
    ]
    figure.legend(handles=handles, loc='outside right upper', fontsize=9)
    write_figure(figure, path)


def _draw_front(axes: Axes, front: Sequence[Point]) -> None:
    spent = [point.bytes_per_place for point in front]
    recall = [100 * point.recall[1] for point in front]
    axes.step(spent, recall, where='post', color='k', linewidth=1, zorder=3)
    for x, y, point in zip(spent, recall, front, strict=True):
        interval = point.intervals[1]
        if interval is not None:
            axes.plot([x, x], [100 * interval.low, 100 * interval.high], color='0.6', zorder=1)
        axes.plot(x, y, marker='o', color='k', markerfacecolor='none', markersize=9, zorder=4)
        axes.annotate(
            f'{point.whitening} {point.dimensions} {point.code}',
            (x, y),
            (-4, 9),
            textcoords='offset points',
            fontsize=7,
            rotation=35,
        )


def _kind(code: str) -> str:
    """Product quantisers, of whatever size, are one kind: their size is the axis."""
    return 'product' if code.startswith('pq') else code
