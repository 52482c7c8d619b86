"""The plot of `netvlad inspect`: image, occlusion map and clusters side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import TwoSlopeNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from netvlad_ros.offline.inspection.cluster_map import ClusterMap
from netvlad_ros.offline.inspection.occlusion_map import OcclusionMap
from netvlad_ros.offline.report.plots import write_figure

_COLOURS = ('#e6194b', '#3cb44b', '#4363d8', '#f58231', '#911eb4', '#42d4f4', '#f0c020', '#f032e6')
_OTHERS = '#9a9a9a'
_LONGEST_PX = 640
Rgb = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Inspected:
    """One image and its maps.

    Attributes:
        name: of the image.
        rgb: uint8 (H, W, 3).
        occlusion: its occlusion map.
        clusters: its cluster map; None = the model has no clusters.
    """

    name: str
    rgb: Rgb
    occlusion: OcclusionMap
    clusters: ClusterMap | None


def draw_inspection(inspected: list[Inspected], model: str, note: str, path: Path) -> None:
    """Draw one or two images, one row each, as PNG; the file is written completely or not at all.

    Args:
        inspected: the images.
        model: name of the model.
        note: a sentence below, or ''.
        path: of the PNG.

    Raises:
        NetvladError: the file cannot be written.
    """
    clusters = [one.clusters for one in inspected if one.clusters is not None]
    shown = [_shrunk(one.rgb) for one in inspected]
    canvas = _Canvas([image.shape[0] / image.shape[1] for image in shown], 3 if clusters else 2)
    similarity = inspected[0].occlusion.similarity
    if len(inspected) == 2:
        title = f'What the match rests on: cosine similarity {similarity:.3f}'
    else:
        title = 'What the descriptor rests on'
    canvas.figure.text(
        0.5, 1 - 0.3 / canvas.height, f'{title}  ({model})', ha='center', fontsize=14
    )
    order = _order(clusters)
    limit = max(*(float(np.abs(one.occlusion.drop).max()) for one in inspected), 1e-6)
    norm = TwoSlopeNorm(0.0, -limit, limit)
    for row, (one, image) in enumerate(zip(inspected, shown, strict=True)):
        canvas.image(row, 0, one.name).imshow(image)
        size = (image.shape[1], image.shape[0])
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        drop = np.asarray(cv2.resize(one.occlusion.drop, size), np.float64)
        axes = canvas.image(row, 1, 'loss of similarity where covered')
        axes.imshow(grey, cmap='gray', vmin=-40, vmax=295)
        axes.imshow(drop, cmap='RdBu_r', norm=norm, alpha=_visible(drop, limit))
        bar = Colorbar(canvas.bar(row), ScalarMappable(norm, 'RdBu_r'))
        bar.ax.tick_params(labelsize=8)
        bar.set_label('red drives it, blue hinders it', fontsize=8)
        if one.clusters is not None:
            axes = canvas.image(row, 2, f'strongest of {one.clusters.soft.shape[2]} clusters')
            _draw_clusters(axes, one.clusters, grey, order)
    patch = inspected[0].occlusion
    foot = f'cover: blurred squares of {patch.patch_px} px, {patch.stride_px} px apart'
    foot += f", at the model's working size {patch.drop.shape[1]}x{patch.drop.shape[0]}"
    foot += f'\n{note}' if note else ''
    canvas.figure.text(0.5, 0.12 / canvas.height, foot, ha='center', fontsize=8, color='0.3')
    write_figure(canvas.figure, path)


class _Canvas:
    """A figure with room for every image at its own aspect; sizes in inches."""

    _WIDE, _ROW, _COLUMNS = 4.6, 0.38, (0.15, 4.9, 10.5)

    def __init__(self, aspects: list[float], columns: int) -> None:
        heights = [self._WIDE * aspect for aspect in aspects]
        self.height = 0.5 + sum(heights) + self._ROW * len(heights) + 0.55
        self._width = self._COLUMNS[columns - 1] + self._WIDE + (1.5 if columns == 3 else 0.95)
        self.figure = Figure(figsize=(self._width, self.height))
        below = self.height - 0.5 - np.cumsum([height + self._ROW for height in heights])
        self._rows = list(zip(below.tolist(), heights, strict=True))

    def image(self, row: int, column: int, title: str) -> Axes:
        axes = self._axes(row, self._COLUMNS[column], self._WIDE)
        axes.set_axis_off()
        axes.set_title(title, fontsize=11)
        return axes

    def bar(self, row: int) -> Axes:
        return self._axes(row, self._COLUMNS[1] + self._WIDE + 0.08, 0.12)

    def _axes(self, row: int, left: float, width: float) -> Axes:
        bottom, height = self._rows[row]
        return self.figure.add_axes((
            left / self._width, bottom / self.height, width / self._width, height / self.height,
        ))  # fmt: skip


def _draw_clusters(
    axes: Axes, clusters: ClusterMap, grey: NDArray[np.uint8], order: list[int]
) -> None:
    shares = clusters.shares
    palette = np.full((len(shares), 3), to_rgb(_OTHERS))
    for cluster, colour in zip(order, _COLOURS, strict=False):
        palette[cluster] = to_rgb(colour)
    size = (grey.shape[1], grey.shape[0])
    colours = cv2.resize(palette[clusters.strongest], size, interpolation=cv2.INTER_NEAREST)
    axes.imshow(np.clip(colours * (0.35 + 0.65 * grey[..., None] / 255.0), 0, 1))
    patches = [
        Patch(color=colour, label=f'cluster {cluster}: {shares[cluster]:.0%}')
        for cluster, colour in zip(order, _COLOURS, strict=False)
    ]
    rest = max(0.0, 1.0 - float(shares[order].sum()))
    patches.append(Patch(color=_OTHERS, label=f'others: {rest:.0%}'))
    axes.legend(
        handles=patches,
        loc='center left',
        bbox_to_anchor=(1.0, 0.5),
        fontsize=8,
        title='share of the image',
        title_fontsize=8,
        frameon=False,
    )


def _order(clusters: list[ClusterMap]) -> list[int]:
    """The clusters with the largest shares over all images, so that images share the colours."""
    if not clusters:
        return []
    total = np.sum([one.shares for one in clusters], axis=0)
    return [int(cluster) for cluster in np.argsort(-total)[: len(_COLOURS)]]


def _visible(drop: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Opacity: the image itself is visible where the similarity does not change."""
    return np.asarray(np.clip(1.6 * np.abs(drop) / limit, 0.0, 0.75))


def _shrunk(rgb: Rgb) -> Rgb:
    scale = _LONGEST_PX / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
