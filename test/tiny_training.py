"""A training run of seconds: six floors of one clip each, a network of three clusters."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from netvlad_ros.training.torchvision_import import torchvision

FLOORS, FRAMES = 6, 5


def write_clips(folder: Path) -> Path:
    """Six floors, one clip each: a window that slides over a texture."""
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder / 'weights.safetensors')
    rng = np.random.default_rng(0)
    with (folder / 'frames.csv').open('w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['image', 'floor', 'area', 'clip', 'frame_1hz'])
        for floor in range(FLOORS):
            coarse = rng.integers(0, 256, (8, 16, 3), dtype=np.uint8)
            texture = cv2.resize(coarse, (128, 64), interpolation=cv2.INTER_CUBIC)
            for frame in range(FRAMES):
                name = f'{floor}_{frame}.png'
                cv2.imwrite(str(folder / name), texture[:, 4 * frame : 4 * frame + 96])
                table.writerow([name, f'f{floor}', f'area{floor}', f'clip{floor}', frame])
    return folder


def write_weights(path: Path) -> None:
    """Random weights with fitted batch norm: without it all images have one descriptor."""
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v2(weights=None).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
    coarse = torch.randn(8, 3, 8, 12)
    with torch.no_grad():
        model(torch.nn.functional.interpolate(coarse, (64, 96), mode='bicubic'))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)


def settings(clips: Path, **sections: Any) -> dict[str, Any]:
    """Settings of such a run; sections are merged into them."""
    base: dict[str, Any] = {
        'name': 'tiny',
        'threads': 1,
        'sources': [{'path': str(clips), 'name': 'tiny', 'licence': 'MIT'}],
        'network': {
            'weights': str(clips / 'weights.safetensors'), 'clusters': 3, 'dim': 4, 'height': 64,
            'width': 96, 'local_descriptors': 1000,
        },
        'supervision': {'validation_areas': ['f4', 'f5']},
        'mining': {'negatives': 1, 'pool': 20},
        'loss': {'margin': 4.0},
        'loop': {
            'steps': 4, 'round_steps': 2, 'batch': 2, 'lr_backbone': 1e-4, 'lr_pooling': 1e-2,
            'validate_every': 0, 'workers': 0,
        },
    }  # fmt: skip
    for name, section in sections.items():
        base[name] = {**base[name], **section} if isinstance(section, dict) else section
    return base


GROUPS = {
    'mining': {'mode': 'groups', 'images_per_place': 3},
    'loss': {'kind': 'multi_similarity'},
}


def trained(folder: Path) -> dict[str, np.ndarray]:
    """Weights, and the optimizer's state, of the last checkpoint of a run."""
    (path,) = folder.glob('checkpoint_*.safetensors')
    return {name: tensor.numpy() for name, tensor in load_file(path).items()}
