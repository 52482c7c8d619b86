"""Weights of a backbone: from torchvision, from a file, or random."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.backbones import LOCAL_BACKBONES
from netvlad_ros.training.network.backbones.base import Backbone
from netvlad_ros.training.network.restricted_pickle import load_checkpoint
from netvlad_ros.training.torchvision_import import torchvision

MAX_WEIGHTS_BYTES = 2 * 2**30  # VGG16 with its classifier is 0.55 GB

# A layer that only this network has, and its shape.
_SIGNATURES = {
    'edgepoint2_e64': ('block1.0.layer.0.weight', (16, 1, 4, 4)),
    'edgepoint2_t48': ('block1.0.layer.0.weight', (8, 1, 4, 4)),
    'xfeat': ('skip1.1.weight', (24, 1, 1, 1)),
}


def load_backbone_weights(backbone: Backbone, weights: str) -> str:
    """Fills a backbone with weights; returns their origin in a few words.

    Args:
        backbone: is changed in place.
        weights: path of a .safetensors or .pth file with a state dict of the whole network, or of a
            network that was trained here and has such a backbone; 'torchvision' (its first ImageNet
            weights, downloaded or from torch's cache; not for networks of local features), or
            'none' (drawn from torch's generator).

    Raises:
        NetvladError: weights is '' (not chosen); the file is unreadable, too large, of another kind
            or of another network; the download fails.
    """
    local = backbone.name in LOCAL_BACKBONES
    if local and weights in ('', 'torchvision'):
        raise NetvladError(
            f'network: weights of {backbone.name} are not in torchvision: give a .safetensors or '
            ".pth file of it, or 'none'"
        )
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
    state, where = _of_backbone(read_weights(Path(weights))), f'backbone weights {weights}'
    found = local_network_of(state)
    if found and found != backbone.name:
        raise NetvladError(f'{where}: seem to be those of {found}, not of {backbone.name}')
    backbone.load(state, where)
    return f'weights {weights}'


def local_network_of(state: Mapping[str, torch.Tensor]) -> str:
    """The network of local features that a state dict seems to be of; '' if of none."""
    for name, (layer, shape) in _SIGNATURES.items():
        if layer in state and tuple(state[layer].shape) == shape:
            return name
    return ''


def _of_backbone(state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """The backbone's part of a network that was trained here; any other state dict as it is."""
    prefix = 'backbone.'
    inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    return inner or state


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
