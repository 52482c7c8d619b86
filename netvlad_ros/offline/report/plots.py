"""Curves, colours and PNG files that several reports share."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from netvlad_ros.core.files import write_whole
from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.metrics.acceptance import PrecisionRecall

COLOURS = (
    '#4363d8',
    '#e6194b',
    '#3cb44b',
    '#f58231',
    '#911eb4',
    '#0f9aa8',
    '#8a6d00',
    '#6b6b6b',
)
_plain = FuncFormatter(lambda value, position: f'{value:g}')
STYLES = ('-', '--', '-.', ':')  # curves that cover each other stay visible
MOST_LABELLED = 1e3  # beyond three decades, labels between the decades run into each other
LONGEST_NAME = 50
MOST_CURVES = len(COLOURS) * len(STYLES)


def look_of(number: int) -> dict[str, Any]:
    """Colour and style of a curve; those of the first MOST_CURVES all differ."""
    turn = number + number // len(COLOURS)
    return {'color': COLOURS[number % len(COLOURS)], 'linestyle': STYLES[turn % len(STYLES)]}


def shortened(name: str) -> str:
    """Keep the end of a name that is too long for a legend: paths differ there."""
    return name if len(name) <= LONGEST_NAME else f'…{name[1 - LONGEST_NAME :]}'


def draw_precision_recall(curves: Mapping[str, PrecisionRecall], path: Path) -> None:
    """Draw curves, MOST_CURVES at most, over the acceptance threshold in one picture."""
    figure = Figure(figsize=(7, 4.5 + 0.17 * len(curves)), layout='constrained')
    axes = figure.add_subplot()
    lowest = 0.9  # else the axis of a run without errors would show thousandths
    for number, (name, curve) in enumerate(curves.items()):
        look = look_of(number)
        if not len(curve.recall) or np.isnan(curve.recall).any():
            axes.plot([], [], label=f'{shortened(name)}: nothing to find', **look)
            continue
        full = curve.recall_at_full_precision
        recall = np.concatenate([[0.0], curve.recall])
        precision = np.concatenate([curve.precision[:1], curve.precision])
        label = f'{shortened(name)}: recall {full:.2f} without a wrong one'
        axes.plot(recall, precision, label=label, **look)
        axes.plot(recall[-1], precision[-1], 'o', color=look['color'], markersize=4)
        lowest = min(lowest, float(precision.min()))
    axes.set_xlim(0, 1.02)
    axes.set_ylim(max(0.0, lowest - 0.05 * (1.05 - lowest)), 1 + 0.05 * (1.05 - lowest))
    axes.set_xlabel('recall: accepted and right, of the answerable images')
    axes.set_ylabel('precision: right, of the accepted images')
    axes.set_title('Precision and recall over the acceptance threshold')
    axes.grid(alpha=0.3)
    figure.legend(loc='outside lower center', fontsize=9)
    write_figure(figure, path)


def error_axis(axes: Axes, title: str) -> None:
    """Prepare the axes of cumulated errors: logarithmic, with plain numbers."""
    axes.set_xlabel(title)
    axes.set_xscale('log')
    axes.xaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.xaxis.set_major_formatter(_plain)
    low, high = axes.get_xlim()
    axes.xaxis.set_minor_formatter(_plain if high / low < MOST_LABELLED else NullFormatter())
    axes.tick_params(axis='x', which='both', labelsize=8)
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)


def cumulate(axes: Axes, values: Array, look: dict[str, Any]) -> None:
    """Draw the share of values (n,) below each value."""
    if not len(values):
        axes.plot([], [], **look)
        return
    # A logarithmic axis has no room for an error of exactly nothing.
    ordered = np.maximum(np.sort(values), 1e-4)
    axes.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), where='post', **look)


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure. Raises NetvladError if that fails."""
    data = io.BytesIO()
    figure.savefig(data, format='png', dpi=110)
    write_whole(path, data.getvalue())
