"""Pictures of a report: recall@N, pose errors, similarity matrix, map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.report.evaluated_run import EvaluatedQuery, EvaluatedRun
from netvlad_ros.offline.report.plots import cumulate, error_axis, look_of, shortened, write_figure
from netvlad_ros.offline.report.safe_text import label

_GAP = 10.0  # a step so many times the usual one is a jump, not motion
_RIGHT, _WRONG, _REFUSED = '#2a9d4a', '#d62828', '#9aa0a6'


def draw_recall(curves: Mapping[str, Array], path: Path) -> None:
    """Draw recall@1 .. recall@N of evaluations, by name; empty curves are named only."""
    figure = Figure(figsize=(7, 4.5 + 0.17 * len(curves)), layout='constrained')
    axes = figure.add_subplot()
    for number, (name, curve) in enumerate(curves.items()):
        shown = shortened(label(name)) + ('' if len(curve) else ': nothing to find')
        n = np.arange(1, len(curve) + 1)
        marker = 'o' if len(curve) <= 20 else ''
        axes.plot(n, curve, marker=marker, markersize=4, label=shown, **look_of(number))
    axes.set_ylim(min([0.9, *(float(c.min()) - 0.05 for c in curves.values() if len(c))]), 1.01)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel('N')
    axes.set_ylabel('recall@N, of the answerable queries')
    axes.set_title('A right place among the first N')
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        figure.legend(loc='outside lower center', fontsize=9)
    write_figure(figure, path)


def draw_errors(errors: Mapping[str, tuple[Array, Array]], path: Path) -> None:
    """Draw the distribution of pose errors [m], [deg] of accepted priors, by evaluation."""
    figure = Figure(figsize=(10, 4.1 + 0.16 * len(errors)), layout='constrained')
    metres, degrees = figure.subplots(1, 2)
    for number, (name, (errors_m, errors_deg)) in enumerate(errors.items()):
        look = look_of(number)
        named = {**look, 'label': f'{shortened(label(name))} ({len(errors_m)})'}
        cumulate(metres, errors_m, named)
        cumulate(degrees, errors_deg, look)
    error_axis(metres, 'position error [m]')
    error_axis(degrees, 'rotation error [deg]')
    metres.set_ylabel('share of the accepted priors below')
    figure.legend(loc='outside lower center', fontsize=8)
    write_figure(figure, path)


def draw_similarity(matrix: NDArray[np.float32], queries: int, places: int, path: Path) -> None:
    """Draw a matrix of similarities, a pixel for each of its elements or more."""
    rows, columns = matrix.shape
    scale = max(1, round(640 / max(rows, columns)))
    inches = np.maximum(np.array([columns, rows]) * scale / 110, 2.0)
    size = inches + np.array([1.7, 1.1])
    figure = Figure(figsize=(float(size[0]), float(size[1])))
    axes = figure.add_axes((0.8 / size[0], 0.6 / size[1], inches[0] / size[0], inches[1] / size[1]))
    finite = matrix[np.isfinite(matrix)]
    low, high = np.percentile(finite, [1, 100]) if finite.size else (0.0, 1.0)
    drawn = axes.imshow(
        matrix,
        cmap='viridis',
        vmin=float(low),
        vmax=float(max(high, low + 1e-6)),
        interpolation='nearest',
        aspect='auto',
        extent=(0, places, queries, 0),
    )
    bar = figure.add_axes(
        ((0.95 + inches[0]) / size[0], 0.6 / size[1], 0.15 / size[0], inches[1] / size[1])
    )
    Colorbar(bar, drawn)
    axes.set_xlabel('place')
    axes.set_ylabel('query')
    axes.set_title('Cosine similarity', fontsize=11)
    write_figure(figure, path)


def draw_map(run: EvaluatedRun, path: Path) -> bool:
    """Draw the true trajectory, the estimated poses and the matches.

    The view is along the axis of least extent.

    Returns:
        Whether there was anything to draw; without poses there is not.
    """
    located = [(query, query.T_true) for query in run.queries if query.T_true is not None]
    if run.T_places is None or not located:
        return False
    places = run.T_places[:, :3, 3]
    true = np.array([T[:3, 3] for _, T in located])
    extent = np.ptp(np.vstack([places, true]), axis=0)
    across, up = sorted(np.argsort(-extent, kind='stable')[:2].tolist())
    figure = Figure(figsize=(8, 7), layout='constrained')
    axes = figure.add_subplot()
    axes.plot(places[:, across], places[:, up], '.', color='0.75', markersize=3)
    _track(axes, true[:, [across, up]], '#1d4ed8', 1.4)
    priors = np.array([query.T_prior[:3, 3] for query, _ in located if query.T_prior is not None])
    if len(priors):
        _track(axes, priors[:, [across, up]], '#f08c00', 1.0)
    for colour, width, kind in ((_REFUSED, 0.4, None), (_RIGHT, 0.8, False), (_WRONG, 1.0, True)):
        links = _links(located, places, kind)[:, :, [across, up]]
        axes.add_collection(LineCollection(list(links), colors=colour, linewidths=width))
    axes.set_aspect('equal', adjustable='datalim')
    axes.set_xlabel(f'{"xyz"[across]} [m]')
    axes.set_ylabel(f'{"xyz"[up]} [m]')
    axes.grid(alpha=0.3)
    handles = [
        Line2D([], [], marker='.', linestyle='', color='0.75', label='mapped places'),
        Line2D([], [], color='#1d4ed8', label='true trajectory'),
        Line2D([], [], color='#f08c00', marker='.', label='estimated: accepted priors'),
        Line2D([], [], color=_RIGHT, label='accepted match, right'),
        Line2D([], [], color=_WRONG, label='accepted match, wrong'),
        Line2D([], [], color=_REFUSED, label='best candidate, not accepted'),
    ]
    figure.legend(handles=handles, loc='outside lower center', ncols=3, fontsize=8)
    write_figure(figure, path)
    return True


def _links(
    located: Sequence[tuple[EvaluatedQuery, Array]], places: Array, wrong: bool | None
) -> Array:
    """Lines from the true position to the best candidate, (n, 2, 3); wrong: None = refused."""
    chosen = [
        (T[:3, 3], places[int(query.ranked[0])])
        for query, T in located
        if len(query.ranked) and (query.wrong if query.T_prior is not None else None) == wrong
    ]
    return np.array(chosen).reshape(-1, 2, 3)


def _track(axes: Axes, points: Array, colour: str, width: float) -> None:
    """Draw a trajectory, interrupted at jumps."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    broken = np.insert(points, np.flatnonzero(steps > _GAP * usual) + 1, np.nan, axis=0)
    axes.plot(broken[:, 0], broken[:, 1], '.-', color=colour, linewidth=width, markersize=2)
