"""Where a trunk's weights come from: torchvision, a file, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.backbone import Backbone
from netvlad_ros.training.vision import torchvision

MAX_WEIGHTS_BYTES = 2 * 2**30  # VGG16 with its classifier is 0.55 GB


def load_backbone_weights(backbone: Backbone, weights: str) -> str:
    """Fills a trunk; returns where from, in a few words.

    Args:
        backbone: is changed in place.
        weights: path of a .safetensors or .pth file with a state dict of the whole torchvision
            model, 'torchvision' (its first ImageNet weights, downloaded or from torch's cache), or
            'none' (drawn from torch's generator).

    Raises:
        NetvladError: '' (not chosen), a file that is unreadable, too large, of another kind or of
            another network, or a download that fails.
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
    """The state dict in a .safetensors, .pth or .pt file; a pickle gives tensors or nothing.

    Raises:
        NetvladError: no such file, larger than 2 GiB, of another kind, or anything but tensors.
    """
    where = f'backbone weights {path}'
    try:
        size = path.stat().st_size
    except OSError as error:
        raise NetvladError(f'{where}: cannot be read ({error.strerror})') from error
    if not path.is_file() or size > MAX_WEIGHTS_BYTES:
        raise NetvladError(f'{where}: no file, or larger than {MAX_WEIGHTS_BYTES >> 30} GiB')
    if path.suffix == '.safetensors':
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise NetvladError(f'{where}: not a readable safetensors file ({error})') from error
    if path.suffix not in ('.pth', '.pt'):
        raise NetvladError(f'{where}: neither a .safetensors nor a .pth file')
    return _tensors_of(path, where)


def _tensors_of(path: Path, where: str) -> Mapping[str, torch.Tensor]:
    try:
        state: Any = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # whatever a hostile file makes the reader stumble over
        reason = (str(error).splitlines() or [repr(error)])[0][:200]
        raise NetvladError(f'{where}: not a state dict of tensors alone ({reason})') from error
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise NetvladError(f'{where}: must hold a state dict, tensors by their names')
    return state


def _downloaded(name: str) -> Mapping[str, torch.Tensor]:
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network; a download that is not what it should be
        raise NetvladError(
            f'torchvision weights of {name} cannot be downloaded ({error}): '
            'fetch them elsewhere and give the file as weights'
        ) from error
