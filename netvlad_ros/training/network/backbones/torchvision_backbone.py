"""TorchvisionBackbone: an ImageNet network up to one of its layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from netvlad_ros.training.config.backbones import find_layer
from netvlad_ros.training.network.backbones.base import Backbone
from netvlad_ros.training.torchvision_import import torchvision

GREY_DEVIATION = 0.5  # of an average image in -1..1, the range that the weights know


class TorchvisionBackbone(Backbone):
    """A torchvision model without the layers behind its cut.

    Args:
        name: torchvision model, a key of BACKBONE_LAYERS.
        layer: last layer that is kept, by name; '' is the default of the model.

    Raises:
        NetvladError: unknown name or layer.
    """

    def __init__(self, name: str, layer: str = '') -> None:
        super().__init__(name, layer)
        head, *rest = find_layer(name, layer).last.split('.')
        with torch.device('meta'):  # the classifier of VGG16 alone would take half a gigabyte
            model = getattr(torchvision.models, name)(weights=None)
        for child_name, child in model.named_children():
            self.add_module(child_name, _up_to(child, rest) if child_name == head else child)
            if child_name == head:
                break
        self.to_empty(device='cpu')
        self.randomise()
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps normalised pixels to (N, channels, about H / stride, W / stride).

        Args:
            x: float32 (N, 3, H, W), or standardised grey (N, 1, H, W).
        """
        if x.shape[1] == 1:
            x = (GREY_DEVIATION * x).expand(-1, 3, -1, -1)
        for child in self.children():
            x = child(x)
        return x


def _up_to(module: nn.Module, path: Sequence[str]) -> nn.Module:
    """The module up to its part at path, included; blocks keep their own forward."""
    if not path:
        return module
    name, *rest = path
    if isinstance(module, nn.Sequential):
        kept = list(module.children())[: int(name) + 1]
        return nn.Sequential(*kept[:-1], _up_to(kept[-1], rest))
    setattr(module, name, _up_to(getattr(module, name), rest))
    return module
