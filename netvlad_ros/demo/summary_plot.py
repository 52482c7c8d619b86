"""The picture of a demonstration: plan of both drives, similarities, errors, image pairs."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import read_thumbnail
from netvlad_ros.demo.demo_metrics import WRONG_M, DemoMetrics, PublishedImage
from netvlad_ros.offline.drives.drive import Drive
from netvlad_ros.world.scenes.town import AREA, Town

_PAIRS = 6
_ERROR = Normalize(0.0, WRONG_M / 2)
_COLOURS = mpl.colormaps['viridis']
_REFUSED = {'no_match': ('#d62728', 'x', 'no match'), 'ambiguous': ('#ff7f0e', '+', 'ambiguous')}


def draw(
    metrics: DemoMetrics,
    place_map: PlaceMap,
    query: Drive,
    path: Path,
    town: Town | None,
    dpi: int = 125,
) -> None:
    """Write the picture as PNG.

    Args:
        metrics: The metrics of the demonstration.
        place_map: The map of the first drive.
        query: The second drive.
        path: The file.
        town: What is drawn beneath the drives; None if it is not known.
        dpi: Dots per inch.
    """
    figure = Figure(figsize=(12, 9.2))
    bar = figure.add_axes((0.475, 0.5, 0.01, 0.36))
    _plan(figure.add_axes((0.045, 0.425, 0.42, 0.54)), bar, metrics, place_map, town)
    _similarity(figure.add_axes((0.575, 0.755, 0.41, 0.205)), metrics)
    _errors(figure.add_axes((0.575, 0.445, 0.41, 0.225)), metrics)
    strip = [figure.add_axes((0.008 + i * 0.165, 0.008, 0.159, 0.311)) for i in range(_PAIRS)]
    _pairs(strip, metrics, place_map, query)
    figure.savefig(path, dpi=dpi)


def _position(T: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(T[..., :2, 3])


def _columns(points: list[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.array(points).T
    return x, y


def _plan(
    ax: Axes,
    bar: Axes,
    metrics: DemoMetrics,
    place_map: PlaceMap,
    town: Town | None,
) -> None:
    bar.set_axis_off()  # until an error is drawn
    if town is not None:
        _town(ax, town)
    mapped = _position(place_map.T_map_cam)
    ax.plot(*mapped.T, '-', color='#4a69bd', lw=6, alpha=0.45, label='drive one: the map')
    known = [image for image in metrics.images if image.T_map_cam is not None]
    if known:
        truth = np.array(
            [_position(image.T_map_cam) for image in known if image.T_map_cam is not None]
        )
        ax.plot(*truth.T, '-', color='#2f3640', lw=1, label='drive two: the truth')
        _matches(ax, bar, known, place_map)
        for status, (colour, marker, label) in _REFUSED.items():
            at = [
                t
                for t, image in zip(truth, known, strict=True)
                if image.match and image.match.status == status
            ]
            if at:
                ax.scatter(
                    *_columns(at), c=colour, marker=marker, s=22, lw=1, label=label, zorder=3
                )
        unmapped = [t for t, image in zip(truth, known, strict=True) if image.is_unmapped]
        if unmapped:
            x, y = np.array(unmapped).mean(0)
            ax.annotate(
                'never mapped', (x, y), ha='center', va='center', fontsize=9, style='italic'
            )
    else:
        priors = [_position(image.prior.T) for image in metrics.images if image.prior]
        if priors:
            ax.scatter(*_columns(priors), s=10, c='#20639b', label='pose priors of drive two')
    ax.set_aspect('equal')
    ax.margins(0.04)
    ax.set_xlabel('x [m]')
    ax.set_ylabel('y [m]')
    values = metrics.values
    recall = values['recall_at_1']
    mapped_too = '' if recall is None else f' ({values["answerable"]} show a mapped place)'
    ax.set_title(f'{values["accepted"]} of {len(metrics.images)} images localized{mapped_too}')
    ax.legend(loc='lower left', fontsize=7.5, framealpha=0.9)


def _town(ax: Axes, town: Town) -> None:
    """The ground in pale colours, and the houses on it."""
    ground = town.quads[0].texture[::6, ::6]
    pale = (255 - 0.45 * (255.0 - ground)).astype(np.uint8)
    ax.imshow(pale, extent=(AREA[0], AREA[2], AREA[1], AREA[3]), interpolation='bilinear', zorder=0)
    for x0, y0, x1, y1 in town.houses:
        size = (x1 - x0, y1 - y0)
        ax.add_patch(Rectangle((x0, y0), *size, facecolor='#efe9df', edgecolor='#b9ae9c', lw=0.7))


def _matches(ax: Axes, bar: Axes, known: list[PublishedImage], place_map: PlaceMap) -> None:
    """A line from each accepted image to its place, and a dot in the colour of its error."""
    rows = {int(place): row for row, place in enumerate(place_map.place_ids)}
    lines, at, errors = [], [], []
    for image in known:
        if image.is_accepted and image.match and image.T_map_cam is not None:
            here = _position(image.T_map_cam)
            lines.append([here, _position(place_map.T_map_cam[rows[image.match.place_ids[0]]])])
            at.append(here)
            errors.append(image.error_m)
    if not lines:
        return
    ax.add_collection(
        LineCollection(lines, colors=_COLOURS(_ERROR(errors)), linewidths=1.4, zorder=2)
    )
    dots = ax.scatter(
        *_columns(at), c=errors, cmap=_COLOURS, norm=_ERROR, s=14, zorder=3, label='accepted'
    )
    bar.set_axis_on()
    ax.figure.colorbar(dots, cax=bar)
    bar.set_title('error [m]', fontsize=8)


def _similarity(ax: Axes, metrics: DemoMetrics) -> None:
    """Histograms of the best similarity, of mapped places and where nothing is mapped."""
    groups = {
        'mapped (a place within 1 m)': (
            '#20639b',
            [image for image in metrics.images if image.positives],
        ),
        'never mapped': ('#d62728', [image for image in metrics.images if image.is_unmapped]),
    }
    if not metrics.has_truth:
        groups = {'all images': ('#20639b', metrics.images)}
    bins = np.linspace(0.0, 1.0, 51)
    for label, (colour, members) in groups.items():
        values = [image.match.similarity for image in members if image.match]
        if values:
            ax.hist(values, bins=list(bins), color=colour, alpha=0.65, label=label)
    ax.set_xlabel('cosine similarity of the best place')
    ax.set_ylabel('images')
    ax.set_title('Has this place been mapped?')
    ax.legend(fontsize=8, loc='upper left')


def _errors(ax: Axes, metrics: DemoMetrics) -> None:
    start = metrics.images[0].stamp_ns
    seconds = np.array([(image.stamp_ns - start) * 1e-9 for image in metrics.images])
    unmapped = np.array([image.is_unmapped for image in metrics.images])
    ax.fill_between(seconds, 0, 1, where=unmapped.tolist(), color='#d62728', alpha=0.12,
                    transform=ax.get_xaxis_transform(), label='never mapped')  # fmt: skip
    errors = np.array([image.error_m for image in metrics.images])
    ax.scatter(seconds, errors, c=errors, cmap=_COLOURS, norm=_ERROR, s=9)
    for status, (colour, marker, _) in _REFUSED.items():
        chosen = [bool(image.match and image.match.status == status) for image in metrics.images]
        ax.scatter(
            seconds[chosen], np.full(sum(chosen), -0.05), c=colour, marker=marker, s=16, lw=0.8
        )
    ax.set_xlim(0, seconds[-1] + 0.1)
    ax.set_ylim(-0.12, max(0.5, 1.1 * float(np.nanmax([*errors, 0.0]))))
    ax.set_xlabel('time [s]')
    ax.set_ylabel('error of the prior [m]')
    ax.set_title('Answers along drive two')


def _pairs(axes: list[Axes], metrics: DemoMetrics, place_map: PlaceMap, query: Drive) -> None:
    """Queries above, images of the map below."""
    rows = {int(place): row for row, place in enumerate(place_map.place_ids)}
    for ax, image in zip(axes, _chosen(metrics), strict=False):
        frame = next(iter(query.frames(slice(image.index, image.index + 1))))
        pixels = frame.read()
        below = read_thumbnail(place_map, rows[image.match.place_ids[0]]) if image.match else None
        stack = [pixels]
        if below is not None:
            size = (pixels.shape[1], pixels.shape[0])
            stack.append(
                np.asarray(cv2.resize(below, size, interpolation=cv2.INTER_LINEAR), np.uint8)
            )
        ax.imshow(np.vstack(stack), interpolation='lanczos')
        error = '' if np.isnan(image.error_m) else f', {image.error_m:.2f} m'
        similarity = f' {image.match.similarity:.2f}' if image.match else ''
        status = 'accepted' if image.is_accepted else 'lost'
        if image.match and not image.is_accepted:
            status = _REFUSED[image.match.status][2]
        colour = '#2e7d32' if image.is_accepted else '#c62828'
        ax.set_title(f'{status}{error}\nsimilarity{similarity}', fontsize=8.5, color=colour)
    for ax in axes:
        ax.set_axis_off()
    for row, words in enumerate(('map', 'drive two')):  # at the left: whose images they are
        style = {'facecolor': 'black', 'alpha': 0.6, 'edgecolor': 'none', 'pad': 2}
        axes[0].text(
            0.02,
            0.025 + 0.5 * row,
            words,
            transform=axes[0].transAxes,
            color='white',
            fontsize=8,
            bbox=style,
        )


def _chosen(metrics: DemoMetrics) -> list[PublishedImage]:
    """Accepted images spread over the drive, and at the end two refused ones, if there are any."""
    answered = [image for image in metrics.images if image.match]
    accepted = [image for image in answered if image.is_accepted] or answered
    refused = [image for image in answered if not image.is_accepted]
    unmapped = [image for image in refused if image.is_unmapped] or refused

    def spread(members: list[PublishedImage], count: int) -> list[PublishedImage]:
        count = min(count, len(members))
        return [members[int((i + 0.5) * len(members) / count)] for i in range(count)]

    last = spread(unmapped, 2)
    return spread(accepted, _PAIRS - len(last)) + last
