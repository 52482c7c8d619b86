"""Weights of a backbone: from torchvision, from a file, or random."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.network.backbone import Backbone
from netvlad_ros.training.network.restricted_pickle import load_checkpoint
from netvlad_ros.training.torchvision_import import torchvision

MAX_WEIGHTS_BYTES = 2 * 2**30  # VGG16 with its classifier is 0.55 GB


def load_backbone_weights(backbone: Backbone, weights: str) -> str:
    """Fills a backbone with weights; returns their origin in a few words.

    Args:
        backbone: is changed in place.
        weights: path of a .safetensors or .pth file with a state dict of the whole torchvision
            model, 'torchvision' (its first ImageNet weights, downloaded or from torch's cache), or
            'none' (drawn from torch's generator).

    Raises:
        NetvladError: weights is '' (not chosen); the file is unreadable, too large, of another kind
            or of another network; the download fails.
    """
    if weights == '':
        raise NetvladError(
            'network: weights are not chosen; give a .safetensors or .pth file of '
            f"torchvision's {backbone.name}, 'torchvision' to download them, or 'none'"
        )
    if weights == 'none':
        backbone.randomise()
        return f'random weights for {backbone.name}'
    if weights == 'torchvision':
        backbone.load(_downloaded(backbone.name), f'torchvision weights of {backbone.name}')
        return f'torchvision weights of {backbone.name}'
    backbone.load(read_weights(Path(weights)), f'backbone weights {weights}')
    return f'weights {weights}'


def read_weights(path: Path) -> Mapping[str, torch.Tensor]:
    """The state dict in a .safetensors, .pth or .pt file; of a pickle only tensors are read.

    Raises:
        NetvladError: no such file, larger than 2 GiB, of another kind, or anything but tensors.
    """
    where = f'backbone weights {path}'
    if path.suffix in ('.pth', '.pt'):
        state = load_checkpoint(path)
        tensors = isinstance(state, Mapping) and all(
            isinstance(name, str) and isinstance(tensor, torch.Tensor)
            for name, tensor in state.items()
        )
        if not tensors:
            raise NetvladError(f'{where}: must hold a state dict, tensors by their names')
        return state
    if path.suffix != '.safetensors':
        raise NetvladError(f'{where}: neither a .safetensors nor a .pth file')
    if not path.is_file():
        raise NetvladError(f'{where}: does not exist or is no file')
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise NetvladError(f'{where}: larger than {MAX_WEIGHTS_BYTES >> 30} GiB')
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise NetvladError(f'{where}: not a readable safetensors file ({error})') from error


def _downloaded(name: str) -> Mapping[str, torch.Tensor]:
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network; a download that is not what it should be
        raise NetvladError(
            f'torchvision weights of {name} cannot be downloaded ({error}): '
            'fetch them elsewhere and give the file as weights'
        ) from error
