"""Networks small enough for a test, with random weights, and pictures for them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn.functional import normalize

from netvlad_ros.training.config.network import NetworkConfig
from netvlad_ros.training.network.network import PlaceNetwork
from netvlad_ros.training.network.poolings.netvlad import NetVLAD
from netvlad_ros.training.network.whitening import Whitening

METADATA = {'name': 'test', 'licence': 'none', 'training': {}, 'calibration': None}
SMALL = {'weights': 'none', 'height': 64, 'width': 96, 'clusters': 4, 'dim': 8}


def make_network(**settings):
    """A small network whose weights are all random."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = PlaceNetwork(NetworkConfig(**{**SMALL, **settings})).eval()
    for module in network.backbone.modules():
        if 'efficientnet' in network.backbone.name and isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(
                module.weight, 3.0
            )  # random squeeze-and-excitation weakens the signal
    for pooling in network.poolings:
        if isinstance(pooling, NetVLAD):
            count = pooling.clusters + pooling.ghost_clusters
            pooling.initialise(normalize(torch.randn(count, pooling.channels)), 5.0)
    for module in network.whitening.modules():
        if isinstance(module, Whitening):
            torch.nn.init.normal_(module.linear.weight)
    return network


def pictures(count=3, size=(48, 64)):
    """Smooth colours, uint8 (H, W, 3), the same at every call."""
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 256, (9, 12, 3), dtype=np.uint8) for _ in range(count)]
    return [cv2.resize(image, size[::-1], interpolation=cv2.INTER_CUBIC) for image in coarse]


def write_pictures(folder: Path, count: int = 24) -> list[Path]:
    """Pictures as files, in order."""
    paths = [folder / f'{index:02d}.png' for index in range(count)]
    for path, image in zip(paths, pictures(count), strict=True):
        cv2.imwrite(str(path), image)
    return paths
