#!/usr/bin/env python3
"""Does it help to train on positives from another time? The paper's Time Machine, in a made world.

    OMP_NUM_THREADS=1 python scripts/measure_multi_visit.py --markdown

Arandjelovic et al. 2016, section 5.2: a network whose positives were all taken at the time of their
query learns that light and moved things tell places apart. Here towns are rendered, each visited in
several lights and seasons, and the same loop trains on them, for as many steps on as many images:

  one visit           a town is seen in one light only, four times as densely: who never comes back.
                      This is nearest to the paper. (Calling each of several visits an area of its
                      own would not be: the same wall in another light would be a negative.)
  multi_visit: false  all visits in one map; positives from any, those beside the query in its own
                      light included, and of these the miner takes the most similar. The flag alone:
                      images, negatives and all the rest are those of the last row.
  multi_visit: true   the same images; positives from another visit only.

Positives of one visit are 2 m or more apart in all arms. Nothing is augmented, as in the paper, as
that would feign other lights. Last weights are taken, nothing is chosen by validation.

Centroids and whitening are fitted on the images of the arm, so each is compared with what it began
from. Where the loss is near 0 there was little to learn: such positives are too easy.

Judged on towns that no arm saw, on the exported bundles: every image of one visit is looked for
among all towns' images of another visit. The interval of a difference is a bootstrap over towns and
seeds of training; of few seeds it is rather too narrow. Folders that are there already are kept.
All of it takes about 18 minutes of one core.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from place_sets import print_table

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.datasets.open_dataset import read_place_images
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.training.config.train_config import TrainConfig
from netvlad_ros.training.loop.run import run_training
from netvlad_ros.world.scenes.visited_town import VisitedTown
from netvlad_ros.world.visited_place import render_place

HEIGHT, WIDTH = 192, 256  # [px]
VISITS, SPACING_M = 4, 2.0  # of a training town; the dense single visit has as many images
JUDGED_VISITS = 3
RADIUS_M, HEADING_DEG = 3.0, 30.0  # what is the same place, in training and when judged
RANKS = (1, 5)
COLUMNS = (
    '', 'loss', 'recall@1 (seeds)', 'recall@5 (seeds)', '@1 over its start',
    '@1 of multi_visit: true over it', '@5 of the same',
)  # fmt: skip
DRAWS = 10_000

RECIPE: dict[str, Any] = {
    'name': 'town',
    'threads': 1,
    'network': {
        'weights': '../shared/weights/mobilenet_v2_imagenet.safetensors',
        'clusters': 64,
        'dim': 256,
        'height': HEIGHT,
        'width': WIDTH,
        'local_descriptors': 40_000,
    },
    'supervision': {
        'positive_radius_m': RADIUS_M,
        'positive_heading_deg': HEADING_DEG,
        'negative_radius_m': 10.0,
    },
    'augmentation': {'strength': 0.0},
    'mining': {'mode': 'partial', 'pool': 400, 'negatives': 5},
    'loss': {'kind': 'triplet', 'margin': 0.1},
    'loop': {
        'steps': 60,
        'round_steps': 30,
        'batch': 2,
        'workers': 0,
        'amp': 'bfloat16',
        'lr_backbone': 3e-5,
        'lr_pooling': 3e-4,
        'validate_every': 0,
    },
}


@dataclass(frozen=True)
class Arm:
    """One arm of the experiment.

    Attributes:
        title: of its row in the table.
        visits: of each town.
        multi_visit: whether positives come from another visit.
        gap_s: shortest time between positives of one visit [s]. Rendered images are half a second
            apart, independent of the distance between them.
        start: title of the arm without training steps; '' = this arm has no training steps.
    """

    title: str
    visits: int
    multi_visit: bool
    gap_s: float
    start: str = ''

    @property
    def spacing_m(self) -> float:
        """Between images, chosen so that all arms have the same number of images."""
        return SPACING_M * self.visits / VISITS


ARMS = (
    Arm('start of one visit', 1, False, 2.0),
    Arm('one visit', 1, False, 2.0, 'start of one visit'),
    Arm('start of all visits', VISITS, False, 0.5),
    Arm('multi_visit: false', VISITS, False, 0.5, 'start of all visits'),
    Arm('multi_visit: true', VISITS, True, 0.5, 'start of all visits'),
)


def render(out: Path, seeds: range, visits: int, spacing_m: float) -> list[Path]:
    """Folders of the towns of these seeds; rendered if they do not exist."""
    towns = [out / f'towns-{visits}x{spacing_m:g}m' / f'town{seed}' for seed in seeds]
    for seed, folder in zip(seeds, towns, strict=True):
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            size = (WIDTH, HEIGHT)
            place = VisitedTown(seed, None)
            render_place(place, seed, folder, visits=visits, size=size, spacing_m=spacing_m)
    return towns


def train(arm: Arm, seed: int, towns: Sequence[Path], options: argparse.Namespace) -> Path:
    """The bundle of an arm; trained unless it exists with the same settings."""
    changes = [*options.changes, f'seed={seed}', f'supervision.multi_visit={arm.multi_visit}']
    changes += [f'supervision.positive_gap_min_s={arm.gap_s}']
    if not arm.start:
        changes += ['loop.steps=0']
    sources = [
        {'path': str(town / f'visit{visit}'), 'name': f'{town.name}-{visit}', 'area': town.name}
        for town in towns
        for visit in range(arm.visits)
    ]
    config = TrainConfig.of(RECIPE | {'sources': sources}, 'recipe').changed(changes)
    out = options.out / 'runs' / re.sub(r'\W+', '-', f'{arm.title} {seed}')
    bundle = out / 'latest' / f'{config.name}.onnx'
    if bundle.is_file() and TrainConfig.load(bundle.parent / 'config.yaml') == config:
        return bundle
    return run_training(config, out=out)


def judge(path: Path, towns: Sequence[Sequence[PlaceImages]]) -> NDArray[np.float64]:
    """Recall at RANKS of the queries of each town, over all ordered visit pairs (towns, ranks)."""
    bundle = ModelBundle.load(path, device='cpu', threads=1)
    rows = [
        [np.stack([bundle.describe(read_image(image)) for image in visit.images]) for visit in town]
        for town in towns
    ]
    hits: list[list[NDArray[np.bool_]]] = [[] for _ in towns]
    for seen in range(JUDGED_VISITS):
        database = np.concatenate([town[seen] for town in rows])
        owner = np.repeat(np.arange(len(towns)), [len(town[seen]) for town in rows])
        for index, town in enumerate(towns):
            for asked in range(JUDGED_VISITS):
                if asked == seen:
                    continue
                right = np.zeros((len(town[asked]), len(database)), dtype=bool)
                right[:, owner == index] = same_place(town[asked], town[seen])
                similar = rows[index][asked] @ database.T
                order = np.argsort(-similar, axis=1, kind='stable')[:, : max(RANKS)]
                found = np.take_along_axis(right, order, axis=1)[right.any(axis=1)]
                hits[index].append(np.stack([found[:, :rank].any(axis=1) for rank in RANKS], 1))
    return np.array([np.concatenate(of_town).mean(axis=0) for of_town in hits])


def same_place(queries: PlaceImages, database: PlaceImages) -> NDArray[np.bool_]:
    """(Q, D) bool: near, with similar heading."""
    assert queries.positions_m is not None and queries.headings_deg is not None
    assert database.positions_m is not None and database.headings_deg is not None
    step = np.linalg.norm(queries.positions_m[:, None] - database.positions_m, axis=2)
    turn = queries.headings_deg[:, None] - database.headings_deg
    return (step <= RADIUS_M) & (np.abs((turn + 180.0) % 360.0 - 180.0) <= HEADING_DEG)


def difference(recall: NDArray[np.float64]) -> str:
    """Mean of paired differences (seeds, towns) and its bootstrap 95 % interval, in points."""
    rng = np.random.default_rng(0)
    seeds, towns = recall.shape
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS) / seeds
    of_towns = rng.multinomial(towns, np.full(towns, 1 / towns), DRAWS) / towns
    drawn = np.einsum('ns,st,nt->n', of_seeds, recall, of_towns)
    low, high = np.percentile(drawn, (2.5, 97.5)) * 100
    return f'{recall.mean() * 100:+.1f} [{low:+.1f}, {high:+.1f}]'


def mean_loss(bundle: Path) -> float:
    """Mean loss over all steps of the run of a bundle; NaN for a run without steps."""
    with (bundle.parent / 'log.csv').open(encoding='utf-8') as file:
        return float(np.mean([float(row['loss']) for row in csv.DictReader(file)] or [np.nan]))


def report(
    recalls: dict[str, NDArray[np.float64]], losses: dict[str, list[float]]
) -> list[list[str]]:
    """Rows of the table, from recalls (seeds, towns, ranks) and losses (seeds) by title."""
    rows, last = [], recalls[ARMS[-1].title]
    for arm in ARMS:
        recall = recalls[arm.title]
        row = [arm.title, f'{np.mean(losses[arm.title]):.4f}' if arm.start else '']
        for rank in range(len(RANKS)):
            each = ' '.join(f'{mean * 100:.1f}' for mean in recall[..., rank].mean(axis=1))
            row += [f'{recall[..., rank].mean() * 100:.1f} ({each})']
        row += [difference((recall - recalls[arm.start])[..., 0]) if arm.start else '']
        for rank in range(len(RANKS)):
            row += [difference((last - recall)[..., rank]) if recall is not last else '']
        rows.append(row)
    return rows


def numbers(text: str) -> range:
    """The numbers A to B - 1 of the text A:B; ValueError for any other text."""
    first, last = map(int, text.split(':'))
    if not 0 <= first < last:
        raise ValueError
    return range(first, last)


def main() -> None:
    """Render, train, evaluate, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=Path('runs/multi_visit'))
    parser.add_argument('--towns', type=numbers, default='100:108', metavar='A:B')
    parser.add_argument('--judged', type=numbers, default='200:208', metavar='A:B')
    parser.add_argument('--seeds', type=numbers, default='0:3', metavar='A:B')
    parser.add_argument('--steps', type=int, default=RECIPE['loop']['steps'])
    parser.add_argument(
        '--set', dest='changes', action='append', default=[], metavar='SECTION.KEY=VALUE'
    )
    parser.add_argument('--markdown', action='store_true')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    options.changes = [f'loop.steps={options.steps}', *options.changes]
    cv2.setNumThreads(1)
    started = time.monotonic()
    judged = [
        [read_place_images(town / f'visit{visit}') for visit in range(JUDGED_VISITS)]
        for town in render(options.out, options.judged, JUDGED_VISITS, SPACING_M)
    ]
    recalls, losses = {}, {}
    for arm in ARMS:
        towns = render(options.out, options.towns, arm.visits, arm.spacing_m)
        bundles = [train(arm, seed, towns, options) for seed in options.seeds]
        recalls[arm.title] = np.stack([judge(bundle, judged) for bundle in bundles])
        losses[arm.title] = [mean_loss(bundle) for bundle in bundles]
    title = (
        f'{len(options.towns)} towns to learn from, {len(options.judged)} to judge on, '
        f'{options.steps} steps, {len(options.seeds)} seeds; '
        f'{(time.monotonic() - started) / 60:.1f} min, {sum(os.times()[:4]) / 60:.1f} min of CPU'
    )
    print_table(
        title,
        COLUMNS,
        report(recalls, losses),
        markdown=options.markdown,
        json_file=options.json,
    )


if __name__ == '__main__':
    main()
