#!/usr/bin/env python3
r"""Every pooling on the same drives, under the same whitening: recall@1 and recall@5.

    python scripts/measure_poolings.py --config config/train.yaml \
        --model models/mobilenetv2_edgepoint2_netvlad_2048.onnx [--markdown]

All but the last row are untrained: the weights of the backbone as the configuration names them,
k-means for NetVLAD and CRN. Each is whitened by PCA of its own descriptors of the images that the
configuration whitens on, to its dimensions; so was the trained model, by its run, if that had the
same settings.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from place_sets import (
    DATA,
    FIVE_WAY,
    Verdict,
    compare_all,
    images_of,
    load_place_sets,
    print_table,
)
from torch import nn

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.training.config.backbones import BACKBONE_LAYERS, find_layer
from netvlad_ros.training.config.network import NetworkConfig
from netvlad_ros.training.config.train_config import TrainConfig
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.fitting.initialisation import initialise_network
from netvlad_ros.training.fitting.pca_whitening import pca_whitening
from netvlad_ros.training.fitting.whitening_fit import fitted_views
from netvlad_ros.training.loop.progress_display import ProgressDisplay
from netvlad_ros.training.network.describer import pooled_descriptors
from netvlad_ros.training.network.network import PlaceNetwork
from netvlad_ros.training.network.poolings.base import Pooling
from netvlad_ros.training.network.whitening import Whitening

GLOBAL = {'mac': 'MAC', 'spoc': 'SPoC', 'gem': 'GeM', 'crow': 'CroW', 'rmac': 'R-MAC'}
STARTED = ' (k-means initialisation)'
CLUSTERED = {'crn': f'CRN{STARTED}', 'netvlad': f'NetVLAD{STARTED}'}


class SideBySide(Pooling):
    """Several poolings of the same local descriptors: unit rows, one after the other."""

    def __init__(self, poolings: Sequence[Pooling]) -> None:
        super().__init__(sum(pooling.dim for pooling in poolings))
        self.poolings = nn.ModuleList(poolings)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, channels, H, W) to (N, dim)."""
        return torch.cat([pooling(features) for pooling in self.poolings], dim=1)


def main() -> None:
    """Print the table: a row for each pooling, the trained model last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', type=Path, required=True)
    parser.add_argument('--set', dest='changes', action='append', default=[])
    parser.add_argument(
        '--model', type=Path, required=True, help='trained: a bundle, or the folder of its run'
    )
    parser.add_argument('--data', type=Path, default=DATA)
    parser.add_argument(
        '--every', type=int, default=1, help='whiten on each N-th image only: a quick look'
    )
    parser.add_argument('--markdown', action='store_true')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    if options.every < 1:
        parser.error('--every counts from 1')
    config = TrainConfig.load(options.config, options.changes)
    network = config.network
    if network.whitening != 'pca':
        raise NetvladError(
            f'the poolings are compared under PCA whitening, {options.config} asks for '
            f'{network.whitening}: --set network.whitening=pca'
        )
    torch.set_num_threads(config.threads or torch.get_num_threads())
    sets = load_place_sets(options.data)
    bundle = trained_bundle(options.model, config)
    sources = [source for source in config.sources if source.fitted]
    everything = Supervision.load(sources, config.supervision, cache=Path('runs/cache'))
    training = everything.split(config.supervision)[0].images
    fitted = training[:: options.every]

    display, judged = ProgressDisplay(), images_of(sets)
    verdicts: dict[str, list[Verdict]] = {}
    for names, layer in ((GLOBAL, wide_layer(network)), (CLUSTERED, network.layer)):
        pooling_of = initial_poolings(replace(network, layer=layer), list(names), config, training)
        with display.working(f'describing by {", ".join(names.values())}') as progress:
            views = fitted_views(pooling_of, fitted)
            pooled = pooled_descriptors(pooling_of, [*views, *judged], progress=progress)
        assert isinstance(pooling_of.pooling, SideBySide)
        ends = np.cumsum([pooling.dim for pooling in pooling_of.pooling.poolings])[:-1]
        for name, rows in zip(names.values(), np.split(pooled, ends, axis=1), strict=True):
            verdicts[name] = compare_all(sets, whitened(rows, len(views), network))
    with display.working('describing by the trained model') as progress:
        described = []
        for path in judged:
            described.append(bundle.describe(read_image(path)))
            progress(len(described), len(judged))
    kind = bundle.metadata.pooling.partition(',')[0]
    name = {**GLOBAL, **CLUSTERED}.get(kind, kind).removesuffix(STARTED)
    verdicts[f'{name}, trained'] = compare_all(sets, np.stack(described))

    titles = [f'{place_set.name} ({len(place_set.queries)})' for place_set in sets]
    print_table(
        f'recall@1 / recall@5, {network.dim} dimensions',
        ['pooling', *titles, 'mean'],
        [[name, *cells(of_sets)] for name, of_sets in verdicts.items()],
        markdown=options.markdown,
        json_file=options.json,
    )
    print(caption(bundle, len(fitted), options.every, network, verdicts))


def trained_bundle(path: Path, config: TrainConfig) -> ModelBundle:
    """The bundle of a run, or a bundle; of as many dimensions as the others get."""
    found = sorted(path.glob('*.onnx')) if path.is_dir() else [path]
    if len(found) != 1:
        raise NetvladError(f'{path} holds {len(found)} bundles: name one')
    bundle = ModelBundle.load(found[0], device='cpu', threads=config.threads)
    if bundle.metadata.dim != config.network.dim:
        raise NetvladError(
            f'{found[0]} answers {bundle.metadata.dim} dimensions, the configuration asks for '
            f'{config.network.dim}: --set network.dim={bundle.metadata.dim}'
        )
    return bundle


def wide_layer(config: NetworkConfig) -> str:
    """The layer for poolings with one number a channel: the configured one, or one wide enough."""
    if find_layer(config.backbone, config.layer).channels >= config.dim:
        return config.layer
    layers = BACKBONE_LAYERS[config.backbone]
    return max(layers, key=lambda name: layers[name].channels)


def initial_poolings(
    network_config: NetworkConfig,
    names: Sequence[str],
    config: TrainConfig,
    images: Sequence[Path],
) -> PlaceNetwork:
    """One backbone under several poolings, as training would start each of them."""
    networks = []
    for name in names:
        torch.manual_seed(config.seed)
        network = PlaceNetwork(replace(network_config, pooling=name))
        initialise_network(network, images, seed=config.seed)
        networks.append(network)
    shared = networks[0]
    shared.pooling = SideBySide([network.pooling for network in networks])
    return shared


def whitened(
    pooled: NDArray[np.float32], fitted: int, config: NetworkConfig
) -> NDArray[np.float32]:
    """PCA of the first `fitted` rows (N, width), applied to the others: unit rows (M, dim)."""
    layer = Whitening(pooled.shape[1], config.dim)
    layer.set(pca_whitening(pooled[:fitted], config.dim, config.shrinkage))
    with torch.no_grad():
        answer: NDArray[np.float32] = layer(torch.from_numpy(pooled[fitted:])).numpy()
    return answer


def cells(verdicts: Sequence[Verdict]) -> list[str]:
    """recall@1 / recall@5 on each set, and their mean over the sets."""
    recalls = [[verdict.recall(n) for n in (1, 5)] for verdict in verdicts]
    return [f'{at_1:.3f} / {at_5:.3f}' for at_1, at_5 in (*recalls, np.mean(recalls, axis=0))]


def caption(
    bundle: ModelBundle,
    fitted: int,
    every: int,
    config: NetworkConfig,
    verdicts: dict[str, list[Verdict]],
) -> str:
    """What one must know to read the table."""
    frames = bundle.metadata.training.get('frames', 'an unknown number of')
    lines = [
        'In brackets: queries that have an answer.',
        f'Every pooling is whitened by PCA to {config.dim} dimensions, fitted on {fitted} training '
        f'images, {config.whitening_views} view(s) of each.',
        f'The trained model is {bundle.metadata.name} ({bundle.metadata.model_id[:12]}), trained '
        f'on {frames} images, with its own whitening: {bundle.metadata.whitening}.',
    ]
    if every > 1:
        lines.append('More images whiten better: the trained model has that advantage here.')
    wide, usual = (find_layer(config.backbone, name) for name in (wide_layer(config), config.layer))
    if wide != usual:
        lines.append(
            f'{", ".join(GLOBAL.values())} pool the layer {wide_layer(config)} of '
            f'{config.backbone}, which has {wide.channels} channels: the layer that CRN and '
            f'NetVLAD pool has {usual.channels}, too few for {config.dim} dimensions.'
        )
    crn, netvlad = (verdicts[name] for name in CLUSTERED.values())
    same = all(np.array_equal(a.ahead, b.ahead) for a, b in zip(crn, netvlad, strict=True))
    lines.append(
        'CRN starts with context weights near 1: untrained it ranks '
        + ('exactly as NetVLAD does.' if same else 'almost as NetVLAD does.')
    )
    return ' '.join([*lines, FIVE_WAY])


if __name__ == '__main__':
    try:
        main()
    except NetvladError as error:
        sys.exit(f'measure_poolings: {error}')
