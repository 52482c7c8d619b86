"""place_cells: classes of images by place, for the classification loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.training.config.sections import SupervisionConfig
from netvlad_ros.training.data.supervision_table import SupervisionTable

SHORTEST_SPAN_S = 1e-3


def place_cells(
    table: SupervisionTable, config: SupervisionConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Classes of images, and groups of classes.

    The class of an image is the label of its place, if it has one; an image that shares its place
    with images of other labels has no class. Without a label it is a cell of position
    and heading within an area. Without a position it is a span of time within a recording.

    Images on two sides of a border are similar, but lie in different cells. So cells are divided
    into groups, and only the cells of one group compete. These are a multiple of cell_groups cells
    apart along every axis and in time, and a multiple of cell_heading_groups in heading (N and L in
    CosPlace).

    Source:
        CosPlace: Berton et al., "Rethinking visual geo-localization for large-scale applications",
        CVPR 2022, equation 1.

    Returns:
        The class of each image, (N,) int64, -1 if it has none; the group of each class, (C,) int64.
    """
    keys = np.full((len(table.images), 6), -1, dtype=np.int64)
    labelled = table.places >= 0
    posed = (table.places < 0) & np.isfinite(table.positions).all(axis=1)
    timed = (table.places < 0) & ~posed & np.isfinite(table.times)
    labelled[table.pairs[:, 0]] = False
    keys[labelled, 0] = 0
    keys[labelled, 1] = table.places[labelled]
    keys[posed, 0] = 1
    keys[posed, 1] = table.area[posed]
    keys[posed, 2:4] = np.floor(table.positions[posed, :2] / config.cell_m)
    # Rounded to the nearest: with floor, noise would divide a flat drive at height 0 in two.
    keys[posed, 4] = np.rint(table.positions[posed, 2] / config.cell_m)
    turned = posed & np.isfinite(table.headings)
    keys[turned, 5] = np.floor(table.headings[turned] % 360.0 / config.cell_heading_deg)
    keys[timed, 0] = 2
    keys[timed, 1] = table.recording[timed]
    span = max(config.positive_gap_max_s, SHORTEST_SPAN_S)
    keys[timed, 2] = np.floor(table.times[timed] / span)
    known = keys[:, 0] >= 0
    labels = np.full(len(keys), -1, dtype=np.int64)
    cells, codes = np.unique(keys[known], axis=0, return_inverse=True)
    labels[known] = codes.ravel()
    along, turns = config.cell_groups, config.cell_heading_groups
    remainders = cells[:, 2:] % (along, along, along, turns)
    if turns > 1:
        # A cell without heading overlaps with the cells of all headings.
        remainders[cells[:, 5] < 0, 3] = turns
    groups = np.unique(remainders, axis=0, return_inverse=True)[1]
    return labels, groups.reshape(-1).astype(np.int64)
