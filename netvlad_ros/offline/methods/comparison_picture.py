"""Recall of methods, and what it costs, in one picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netvlad_ros.offline.figure_file import write_figure
from netvlad_ros.offline.report.safe_text import label as safe

OURS_COLOUR, OTHERS_COLOUR = '#d1495b', '#30638e'
NEAR_COST = 1  # steps of a decade, within which points of one recall share a label
COSTS = (
    ('bytes per place', lambda figures: figures['bytes_per_place']),
    ('describing an image [ms]', lambda figures: 1e3 * figures['seconds']['describe_per_image']),
)


def draw_comparison(results: list[dict[str, Any]], title: str, ours: str, path: Path) -> None:
    """Bars of recall@1 with their intervals, best on top, and recall@1 over two costs.

    results: of compare_method. ours: the method that is coloured. Raises NetvladError if the file
    cannot be written.
    """
    known = [figures for figures in results if figures['recall']['1'] is not None]
    known.sort(key=lambda figures: figures['recall']['1'])
    figure = Figure(figsize=(15, 1.8 + 0.26 * max(len(known), 10)), layout='constrained')
    figure.suptitle(safe(title))
    bars, *costs = figure.subplots(1, 3)
    _bars(bars, known, ours)
    for axes, (label, cost) in zip(costs, COSTS, strict=True):
        for figures in known:  # the better ones last, on top of what they hide
            at = cost(figures), 100 * figures['recall']['1']
            axes.plot(
                *at, 'o', color=_colour(figures, ours), zorder=2 + (figures['method'] == ours)
            )
        for at, names in _places(known, cost).items():
            axes.annotate(
                ', '.join(names), at, xytext=(3, 3), textcoords='offset points', fontsize=7
            )
        axes.set(xscale='log', xlabel=label, ylabel='recall@1 [%]')
        axes.margins(x=0.2)
        axes.grid(alpha=0.3)
    write_figure(figure, path)


def _places(
    known: list[dict[str, Any]], cost: Callable[[dict[str, Any]], float]
) -> dict[tuple[float, float], list[str]]:
    """Names of the methods at each point; those too near for two labels share the first's."""
    places: dict[tuple[float, float], list[str]] = {}
    taken: dict[tuple[int, int], tuple[float, float]] = {}
    for figures in known:
        at = cost(figures), 100 * figures['recall']['1']
        cell = round(NEAR_COST * math.log10(max(at[0], 1e-9))), round(at[1])
        places.setdefault(taken.setdefault(cell, at), []).append(safe(figures['method']))
    return places


def _bars(axes: Axes, known: list[dict[str, Any]], ours: str) -> None:
    for height, figures in enumerate(known):
        share = 100 * figures['recall']['1']
        axes.barh(height, share, color=_colour(figures, ours))
        if figures['recall_at_1_interval'] is not None:
            low, high = (100 * end for end in figures['recall_at_1_interval'])
            axes.plot([low, high], [height, height], color='black', linewidth=1)
        axes.text(1, height, f'{share:.1f}', va='center', color='white', fontsize=8)
    axes.set_yticks(range(len(known)), [safe(figures['method']) for figures in known])
    axes.set(xlim=(0, 100), xlabel='recall@1 [%], 95 % over the queries')


def _colour(figures: dict[str, Any], ours: str) -> str:
    return OURS_COLOUR if figures['method'] == ours else OTHERS_COLOUR
