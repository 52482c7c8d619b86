"""Weights of a pooling: those of a network that was trained here."""

from __future__ import annotations

from pathlib import Path

import torch

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.network.backbones.weights import read_weights
from netvlad_ros.training.network.poolings.base import Pooling

_PREFIX = 'pooling.'


def load_pooling_weights(pooling: Pooling, weights: str) -> str:
    """Fills a pooling with the weights of a trained network's; returns their origin in a few words.

    Args:
        pooling: is changed in place.
        weights: path of the network's .safetensors file.

    Raises:
        NetvladError: the file is unreadable, or its pooling is missing, of another shape or not
            finite.
    """
    where = f'pooling weights {weights}'
    state = read_weights(Path(weights))
    own = pooling.state_dict()
    found = {name: state.get(_PREFIX + name) for name in own}
    for name, tensor in found.items():
        if tensor is None or tensor.shape != own[name].shape or not torch.isfinite(tensor).all():
            raise NetvladError(
                f'{where}: {_PREFIX}{name} must be finite, of shape {tuple(own[name].shape)}; name '
                'the network.safetensors of a run with the same backbone, pooling and clusters'
            )
    pooling.load_state_dict({name: tensor for name, tensor in found.items() if tensor is not None})
    return f'pooling of {weights}'
