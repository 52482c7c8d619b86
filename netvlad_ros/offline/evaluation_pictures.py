"""The pictures of `netvlad eval --out`: precision over recall, reliability, errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from scipy.stats import chi2

from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.answer_judgement import Judgement
from netvlad_ros.offline.figure_file import write_figure
from netvlad_ros.offline.metrics.acceptance import PrecisionRecall
from netvlad_ros.offline.metrics.uncertainty import BINS, DEGREES_OF_FREEDOM, Reliability, bound

COLOURS = (
    *('#4363d8', '#e6194b', '#3cb44b', '#f58231', '#911eb4', '#0f9aa8', '#8a6d00', '#6b6b6b'),
)
_plain = FuncFormatter(lambda value, position: f'{value:g}')
STYLES = ('-', '--', '-.', ':')  # curves that lie on each other are still seen
MOST_LABELLED = 1e3  # beyond three decades, labels between the decades run into each other
LONGEST_NAME = 50
MOST_CURVES = len(COLOURS) * len(STYLES)


def look_of(number: int) -> dict[str, Any]:
    """Colour and style of a curve; no two of the first MOST_CURVES are alike."""
    turn = number + number // len(COLOURS)
    return {'color': COLOURS[number % len(COLOURS)], 'linestyle': STYLES[turn % len(STYLES)]}


def shortened(name: str) -> str:
    """Keep the end of a name that a legend has no room for: paths differ there."""
    return name if len(name) <= LONGEST_NAME else f'…{name[1 - LONGEST_NAME :]}'


def draw_judgements(judgements: Mapping[str, Judgement], folder: Path) -> None:
    """Draw ways of localizing, by name, into a folder. Raises NetvladError if it cannot be."""
    draw_precision_recall(
        {name: judgement.curve for name, judgement in judgements.items()},
        folder / 'precision_recall.png',
    )
    _draw_reliability(
        {name: judgement.reliability for name, judgement in judgements.items()},
        folder / 'reliability.png',
    )
    _draw_errors(judgements, folder / 'errors.png')


def draw_precision_recall(curves: Mapping[str, PrecisionRecall], path: Path) -> None:
    """Draw curves, MOST_CURVES at most, over the acceptance threshold in one picture."""
    figure = Figure(figsize=(7, 4.5 + 0.17 * len(curves)), layout='constrained')
    axes = figure.add_subplot()
    lowest = 0.9  # or the axis of a flawless run would tell thousandths
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


def _draw_reliability(diagrams: Mapping[str, Reliability], path: Path) -> None:
    figure = Figure(figsize=(4.6 * len(diagrams), 5.4), layout='constrained')
    rows = figure.subplots(2, len(diagrams), squeeze=False, height_ratios=[3, 1], sharex=True)
    centres = (np.arange(BINS) + 0.5) / BINS
    for column, (name, diagram) in enumerate(diagrams.items()):
        above, below = rows[0, column], rows[1, column]
        filled = diagram.count > 0
        above.bar(centres[filled], diagram.observed[filled], 0.9 / BINS, color=COLOURS[0])
        above.plot([0, 1], [0, 1], color='0.4', linewidth=1)
        above.plot(diagram.stated[filled], diagram.observed[filled], 'o', color='k', markersize=4)
        error = diagram.expected_error
        title = name if error is None else f'{name}: calibration error {error:.3f}'
        above.set_title(title, fontsize=11)
        above.set_xlim(0, 1)
        above.set_ylim(0, 1.02)
        below.bar(centres, diagram.count, 0.9 / BINS, color='0.6')
        below.set_xlabel('stated probability')
        above.grid(alpha=0.3)
    rows[0, 0].set_ylabel('share that was right')
    rows[1, 0].set_ylabel('images')
    write_figure(figure, path)


def _draw_errors(judgements: Mapping[str, Judgement], path: Path) -> None:
    figure = Figure(figsize=(13, 4.4), layout='constrained')
    metres, degrees, normalised = figure.subplots(1, 3)
    for number, (name, judgement) in enumerate(judgements.items()):
        look = {**look_of(number), 'label': f'{name} ({len(judgement.errors_m)})'}
        cumulate(metres, judgement.errors_m, look)
        cumulate(degrees, judgement.errors_deg, look)
        cumulate(normalised, judgement.nees, look)
    honest = np.geomspace(0.05, 50, 200)
    normalised.plot(
        honest, chi2(DEGREES_OF_FREEDOM).cdf(honest), color='0.4', linewidth=1, label='honest'
    )
    normalised.axvline(bound(), color='0.4', linewidth=1, linestyle=':')
    error_axis(metres, 'position error [m]')
    error_axis(degrees, 'rotation error [deg]')
    error_axis(normalised, 'normalised error squared (NEES); dotted: 95 % bound')
    figure.legend(
        *normalised.get_legend_handles_labels(), loc='outside lower center', ncols=3, fontsize=8
    )
    metres.set_ylabel('share of the accepted priors below')
    write_figure(figure, path)


def error_axis(axes: Axes, title: str) -> None:
    """Make the axes of cumulated errors: logarithmic, with plain numbers."""
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
