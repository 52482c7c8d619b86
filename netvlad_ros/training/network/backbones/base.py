"""Backbone: the base class of all backbones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.backbones import BACKBONE_LAYERS, find_layer


class Backbone(nn.Module):
    """Local descriptors of an image, on a grid.

    A backbone holds the modules of a public network under their own names, so that a state dict of
    the whole network fits. All modules always run in evaluation mode: batches here are small and
    hold near-duplicates (a query, its positive, its negatives). Their batch statistics would differ
    from those of the images that a robot sees. Scale and bias of batch norm still train.

    Args:
        name: of the network, a key of BACKBONE_LAYERS.
        layer: last layer that is kept, by name; '' is the default of the network.

    Attributes:
        name: of the network.
        layer: name of the last layer; never ''.
        channels: width of the local descriptors.
        stride: from one local descriptor to the next [px].

    Raises:
        NetvladError: unknown name or layer.
    """

    def __init__(self, name: str, layer: str = '') -> None:
        super().__init__()
        found = find_layer(name, layer)
        self.name, self.layer = name, layer or next(iter(BACKBONE_LAYERS[name]))
        self.channels, self.stride = found.channels, found.stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps normalised float32 (N, C, H, W) to (N, channels, about H / stride, W / stride)."""
        raise NotImplementedError

    @torch.no_grad()
    def randomise(self) -> None:
        """Draws weights as He et al. (ICCV 2015) do; torchvision does the same."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()

    def train(self, mode: bool = True) -> Backbone:
        """Keeps every module in evaluation mode, whatever the mode that is asked for."""
        super().train(False)
        return self

    def layers(self) -> list[list[nn.Module]]:
        """What trainable_layers counts, first to last: convolutions, or blocks where there are any.

        A batch norm outside a block belongs to the convolution before it.
        """
        layers: list[list[nn.Module]] = []
        for module in _unrolled(self.children()):
            if isinstance(module, nn.BatchNorm2d) and layers:
                layers[-1].append(module)
            elif any(True for _ in module.parameters()):
                layers.append([module])
        return layers

    def train_last(self, count: int) -> None:
        """Lets the last `count` layers train and freezes the layers before; -1 lets all train.

        Raises:
            NetvladError: the backbone has fewer layers.
        """
        layers = self.layers()
        if count > len(layers):
            raise NetvladError(
                f'trainable_layers is {count}, but {self.name} has {len(layers)} layers to its cut'
            )
        frozen = 0 if count < 0 else len(layers) - count
        for index, modules in enumerate(layers):
            for module in modules:
                module.requires_grad_(index >= frozen)

    def load(self, state: Mapping[str, torch.Tensor], where: str) -> None:
        """Takes the kept layers from a state dict of the whole torchvision model.

        Args:
            state: by the names of that model. Layers that are not kept are ignored, and so are the
                step counters of batch norm.
            where: names the source in errors.

        Raises:
            NetvladError: a layer is missing, of another shape or not finite. No layer silently
                keeps random weights.
        """
        own = self.state_dict()
        for name, tensor in own.items():
            if name.endswith('num_batches_tracked'):
                continue  # without effect in evaluation mode, absent from converted weights
            if name not in state:
                raise NetvladError(f'{where}: layer {name} of {self.name} is missing')
            if state[name].shape != tensor.shape:
                raise NetvladError(
                    f'{where}: layer {name} has shape {tuple(state[name].shape)}, '
                    f'{self.name} needs {tuple(tensor.shape)}'
                )
            if not torch.isfinite(state[name]).all():
                raise NetvladError(f'{where}: layer {name} is not finite')
        self.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)


def _unrolled(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """Modules, with plain sequences replaced by their members; blocks stay whole."""
    unrolled: list[nn.Module] = []
    for module in modules:
        unrolled += _unrolled(module.children()) if type(module) is nn.Sequential else [module]
    return unrolled
