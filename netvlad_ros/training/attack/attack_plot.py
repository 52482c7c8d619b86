"""attack.png: rows of carrier, attacked image, change and target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from netvlad_ros.offline.report.plots import write_figure
from netvlad_ros.training.attack.attack_metrics import Attempt
from netvlad_ros.training.attack.attacked_localizer import RETRIEVAL, VERIFIED

MOST_ROWS = 4
GAIN = 10  # the change itself is too small to see


@dataclass(frozen=True)
class Shown:
    """A row of the plot.

    Attributes:
        attempt: the attack.
        carrier: uint8 (H, W, 3) RGB.
        attacked: uint8 (H, W, 3) RGB.
        target: thumbnail of the map, uint8 (H, W, 3) RGB; None if the map has none.
    """

    attempt: Attempt
    carrier: NDArray[np.uint8]
    attacked: NDArray[np.uint8]
    target: NDArray[np.uint8] | None


def change(carrier: NDArray[np.uint8], attacked: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The difference of two images, multiplied by GAIN, around grey."""
    difference = GAIN * (attacked.astype(np.int16) - carrier)
    return np.clip(128 + difference, 0, 255).astype(np.uint8)


def draw_attacks(rows: Sequence[Shown], path: Path) -> None:
    """Draws the first MOST_ROWS rows, at least one; raises NetvladError if that fails."""
    rows = rows[:MOST_ROWS]
    figure = Figure(figsize=(14, 3.1 * len(rows)), layout='constrained')
    for axes, row in zip(figure.subplots(len(rows), 4, squeeze=False), rows, strict=True):
        attempt = row.attempt
        retrieval, verified = attempt.after[RETRIEVAL], attempt.after[VERIFIED]
        found = 'the target' if retrieval.at_target else 'the truth' if retrieval.at_truth else ''
        said = 'accepted' if verified.accepted else 'refused'
        if verified.accepted:
            said += ', wrong' if verified.accepted_wrong else ', right'
        panels = (
            (f'carrier, similarity {attempt.similarity_before:.2f}', row.carrier),
            (
                f'attacked, similarity {attempt.similarity_after:.2f}\nretrieved: '
                f'{found or "another place"}; verified: {said}',
                row.attacked,
            ),
            (
                f'change x {GAIN}; rms {attempt.rms_change:.1f}, largest '
                f'{attempt.max_change} of 255',
                change(row.carrier, row.attacked),
            ),
            (
                f'target, {attempt.target_distance_m:.1f} m and '
                f'{attempt.target_angle_deg:.0f} deg away',
                row.target,
            ),
        )
        for axis, (title, image) in zip(axes, panels, strict=True):
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
            if image is None:
                axis.text(0.5, 0.5, 'the map keeps no images', ha='center', va='center')
            else:
                axis.imshow(image)
    write_figure(figure, path)
