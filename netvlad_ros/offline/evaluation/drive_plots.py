"""Plots of a localized drive: precision and recall, reliability, errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import chi2

from netvlad_ros.offline.evaluation.drive_metrics import DriveMetrics
from netvlad_ros.offline.metrics.uncertainty import BINS, DEGREES_OF_FREEDOM, Reliability, bound
from netvlad_ros.offline.report.plots import (
    COLOURS,
    cumulate,
    draw_precision_recall,
    error_axis,
    look_of,
    write_figure,
)


def draw_modes(modes: Mapping[str, DriveMetrics], folder: Path) -> None:
    """Draw precision_recall.png, reliability.png and errors.png into a folder.

    Args:
        modes: name -> metrics of a mode of localizing.
        folder: exists already.

    Raises:
        NetvladError: a file cannot be written.
    """
    draw_precision_recall(
        {name: metrics.curve for name, metrics in modes.items()},
        folder / 'precision_recall.png',
    )
    _draw_reliability(
        {name: metrics.reliability for name, metrics in modes.items()},
        folder / 'reliability.png',
    )
    _draw_errors(modes, folder / 'errors.png')


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


def _draw_errors(modes: Mapping[str, DriveMetrics], path: Path) -> None:
    figure = Figure(figsize=(13, 4.4), layout='constrained')
    metres, degrees, normalised = figure.subplots(1, 3)
    for number, (name, metrics) in enumerate(modes.items()):
        look = {**look_of(number), 'label': f'{name} ({len(metrics.errors_m)})'}
        cumulate(metres, metrics.errors_m, look)
        cumulate(degrees, metrics.errors_deg, look)
        cumulate(normalised, metrics.nees, look)
    expected = np.geomspace(0.05, 50, 200)
    normalised.plot(
        expected,
        chi2(DEGREES_OF_FREEDOM).cdf(expected),
        color='0.4',
        linewidth=1,
        label='consistent',
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
