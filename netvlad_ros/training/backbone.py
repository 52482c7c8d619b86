"""The convolutional trunk: an ImageNet network, cut where it answers the best local descriptors."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.vision import torchvision

# name -> (torchvision model, index of the first layer left out, channels, stride)
_CUTS = {'mobilenet_v2': ('mobilenet_v2', 14, 96, 16)}


class Backbone(nn.Module):
    """Local descriptors of an image, on a grid.

    Batch norm always runs on its stored statistics: batches here are small and hold
    near-duplicates (a query, its positive, its negatives), whose statistics would not be those of
    the images that a robot sees. Its scale and bias still train.

    Args:
        name: torchvision model, one of 'mobilenet_v2' (cut at stride 16, before the 160-channel
            stage: 96 channels).

    Raises:
        NetvladError: unknown name.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        if name not in _CUTS:
            raise NetvladError(f'unknown backbone {name!r}; choose one of {", ".join(_CUTS)}')
        model, cut, self.channels, self.stride = _CUTS[name]
        self.name = name
        self.features = getattr(torchvision.models, model)(weights=None).features[:cut]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float32 (N, 3, H, W) in [-1, 1] to float32 (N, channels, H / stride, W / stride)."""
        return self.features(x)

    def train(self, mode: bool = True) -> Backbone:
        """As nn.Module.train, but batch norm stays in evaluation mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def load(self, path: Path) -> None:
        """Starts from a state dict of the whole torchvision model; layers past the cut are ignored.

        Raises:
            NetvladError: file unreadable, or a layer before the cut is missing or of another shape
                (a layer is never left random in silence).
        """
        try:
            state = load_file(path)
        except (OSError, SafetensorError) as error:
            raise NetvladError(
                f'backbone weights {path}: not a readable safetensors file ({error})'
            ) from error
        own = self.state_dict()
        for name, tensor in own.items():
            if name.endswith('num_batches_tracked'):
                continue  # a step counter: without effect here, absent from converted weights
            if name not in state:
                raise NetvladError(
                    f'backbone weights {path}: layer {name} of {self.name} is missing'
                )
            if state[name].shape != tensor.shape:
                raise NetvladError(
                    f'backbone weights {path}: layer {name} has shape {tuple(state[name].shape)}, '
                    f'{self.name} needs {tuple(tensor.shape)}'
                )
        self.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)
