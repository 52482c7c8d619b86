"""Weights from a file: every layer is taken, or none."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from netvlad_ros.core.errors import NetvladError


def take_whole_state(module: nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Fills a module with all of its layers; `where` names their origin in errors.

    Raises:
        NetvladError: a layer is missing, left over, of another shape or type, or not finite; the
            module is unchanged.
    """
    own = module.state_dict()
    for name, tensor in own.items():
        if name not in state:
            raise NetvladError(f'{where}: layer {name} is missing')
        if state[name].shape != tensor.shape or state[name].dtype != tensor.dtype:
            raise NetvladError(
                f'{where}: layer {name} is {state[name].dtype} {tuple(state[name].shape)}, its '
                f'configuration needs {tensor.dtype} {tuple(tensor.shape)}'
            )
        if tensor.is_floating_point() and not torch.isfinite(state[name]).all():
            raise NetvladError(f'{where}: layer {name} is not finite')
    for name in state:
        if name not in own:
            raise NetvladError(f'{where}: layer {name} has no place in its configuration')
    module.load_state_dict(state)
