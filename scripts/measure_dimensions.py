#!/usr/bin/env python3
"""What fewer dimensions cost: recall@1 by the width of the descriptor, whitened and not.

    python scripts/measure_dimensions.py --config config/train.yaml --network RUN [--markdown]

Images are described once, before any whitening; then PCA of the training images brings the pooled
descriptors to each width, with whitening and as a rotation alone. PCA of N images has fewer than N
directions. For widths beyond that, and to see what more images would do, it is fitted a second time
on four views of each: whole, mirrored, zoomed, and both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from place_sets import DATA, PlaceSet, compare_all, images_of, load_place_sets, print_table

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.network import VIEW_KINDS
from netvlad_ros.training.config.train_config import TrainConfig
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.fitting.pca_whitening import Directions, principal_directions
from netvlad_ros.training.loop.progress_display import ProgressDisplay
from netvlad_ros.training.network.describer import pooled_descriptors
from netvlad_ros.training.network.image_view import ImageView
from netvlad_ros.training.network.network_file import load_network

DIMENSIONS = (4096, 2048, 1024, 512, 256, 128, 64)
ROTATION = 1.0  # shrinkage that leaves every direction its variance


def main() -> None:
    """Print the table: a row for each width, for PCA of images and of their views."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', type=Path, required=True)
    parser.add_argument('--set', dest='changes', action='append', default=[])
    parser.add_argument(
        '--network', type=Path, required=True, help='folder of a finished run, or a network file'
    )
    parser.add_argument('--data', type=Path, default=DATA)
    parser.add_argument(
        '--views', type=int, default=VIEW_KINDS, help=f'of each training image, up to {VIEW_KINDS}'
    )
    parser.add_argument('--markdown', action='store_true')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    if not 1 <= options.views <= VIEW_KINDS:
        parser.error(f'--views is a number from 1 to {VIEW_KINDS}')
    config = TrainConfig.load(options.config, options.changes)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    sets = load_place_sets(options.data)
    path = options.network / 'network' if options.network.is_dir() else options.network
    network, _ = load_network(path)
    sources = [source for source in config.sources if source.fitted]
    everything = Supervision.load(sources, config.supervision, cache=Path('runs/cache'))
    images = everything.split(config.supervision)[0].images

    display = ProgressDisplay()
    with display.working('describing the judged images') as progress:
        judged = pooled_descriptors(network, images_of(sets), progress=progress)
    views = [
        ImageView(path, kind, i) for kind in range(options.views) for i, path in enumerate(images)
    ]
    with display.working('describing the training images') as progress:
        pooled = pooled_descriptors(network, views, progress=progress)
    as_pooled = [f'- / {recall}' for recall in recalls(sets, judged)]
    rows = [[str(network.pooling.dim), 'nothing: as pooled', *as_pooled]]
    fits = {f'{len(images)} images': pooled[: len(images)]}
    if options.views > 1:
        fits[f'{options.views} views of each'] = pooled
    for name, fitted in fits.items():
        with display.working(f'PCA of {name}'):
            widths = [d for d in DIMENSIONS if d < len(fitted) and d <= network.pooling.dim]
            most = max(widths, default=min(DIMENSIONS))
            directions = principal_directions(fitted, most)
        for dim in DIMENSIONS:
            cells = ['- / -'] * (len(sets) + 1)
            if dim in widths:
                whitened = projected(judged, directions, dim, config.network.shrinkage)
                rotated = projected(judged, directions, dim, ROTATION)
                both = zip(recalls(sets, whitened), recalls(sets, rotated), strict=True)
                cells = [f'{left} / {right}' for left, right in both]
            rows.append([str(dim), name, *cells])

    titles = [f'{place_set.name} ({len(place_set.queries)})' for place_set in sets]
    columns = ['dimensions', 'PCA of', *titles, 'mean']
    title = 'recall@1, whitened / rotated only'
    print_table(title, columns, rows, markdown=options.markdown, json_file=options.json)
    print(
        f'recall@1, whitened / rotated only, of {path} ({network.facts["backbone"]}; '
        f'{network.facts["pooling"]}). In brackets: queries that have an answer. Whitening divides '
        f'each direction by its deviation (shrinkage {config.network.shrinkage:g}); both are '
        f'centred, and of unit length again. N images have fewer than N directions: hence -.'
    )


def projected(
    pooled: NDArray[np.float32], directions: Directions, dim: int, shrinkage: float
) -> NDArray[np.float32]:
    """The first dim directions of pooled (N, width), scaled as pca_whitening does; unit rows."""
    variance = directions.variance[:dim]
    scale = variance ** (1.0 - shrinkage) * variance[0] ** shrinkage
    rows = (pooled - directions.mean) @ directions.axes[:dim].T / np.sqrt(scale)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def recalls(sets: Sequence[PlaceSet], descriptors: NDArray[np.float32]) -> list[str]:
    """recall@1 on each set, and the mean."""
    values = [verdict.recall(1) for verdict in compare_all(sets, descriptors)]
    return [f'{value:.3f}' for value in (*values, np.mean(values))]


if __name__ == '__main__':
    try:
        main()
    except NetvladError as error:
        sys.exit(f'measure_dimensions: {error}')
