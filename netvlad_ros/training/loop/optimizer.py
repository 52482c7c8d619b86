"""Optimizer: Adam, AdamW or SGD, with learning rates that depend on the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.sections import LoopConfig
from netvlad_ros.training.network.network import PlaceNetwork

MOMENTUM = 0.9  # of sgd, as in the paper

_KINDS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    'adam': torch.optim.Adam,
    'adamw': torch.optim.AdamW,
    'sgd': lambda groups, **options: torch.optim.SGD(groups, momentum=MOMENTUM, **options),
}


class Optimizer:
    """The optimizer of network and loss.

    Attributes:
        inner: the optimizer of torch.

    Raises:
        NetvladError: no parameter trains.
    """

    def __init__(self, config: LoopConfig, network: PlaceNetwork, loss: nn.Module) -> None:
        groups: list[dict[str, Any]] = network.parameter_groups(
            config.lr_backbone, config.lr_pooling
        )
        own = list(loss.parameters())
        if own:
            groups.append({'params': own, 'lr': config.lr_pooling})
        if not groups and config.steps:
            raise NetvladError(
                'nothing of this network trains: raise network.trainable_layers or set loop.steps 0'
            )
        self._config = config
        self._rates = [float(group['lr']) for group in groups]
        groups = groups or [{'params': [nn.Parameter(torch.zeros(0))]}]
        kind = _KINDS[config.optimizer]
        self.inner = kind(groups, weight_decay=config.weight_decay, lr=1e-3)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Parameters that train, in a fixed order."""
        return [p for group in self.inner.param_groups for p in group['params']]

    @property
    def rate(self) -> float:
        """The present largest learning rate."""
        return max(float(group['lr']) for group in self.inner.param_groups)

    def set_rate(self, step: int) -> None:
        """Sets the learning rates of a step; the first is 0."""
        factor = self._config.lr_factor(step)
        for group, rate in zip(self.inner.param_groups, self._rates, strict=False):
            group['lr'] = rate * factor
