"""LocalBackbone: base class of the networks of local features; their layers and their maps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.network.backbones.base import Backbone


class LocalMaps(NamedTuple):
    """What a network of local features computes of images.

    Attributes:
        descriptors: float32 (N, D, H / s, W / s), not of unit length.
        logits: float32 (N, 1, H, W), how well a pixel suits as a keypoint; higher is better.
    """

    descriptors: torch.Tensor
    logits: torch.Tensor


class LocalBackbone(Backbone):
    """A network of local features: one pass gives the pooling and the keypoints their maps.

    The input is a standardised grey image whose sides are multiples of LOCAL_MULTIPLE.
    """

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        """Maps grey float32 (N, 1, H, W) to (N, channels, H / stride, W / stride)."""
        return self.for_pooling(self._dense(self._grids(grey)))

    def maps(self, grey: torch.Tensor) -> LocalMaps:
        """Maps grey float32 (N, 1, H, W) to descriptors and logits."""
        grids = self._grids(grey)
        dense = self._dense(grids)
        return LocalMaps(dense, self._logits(grey, grids, dense))

    def for_pooling(self, descriptors: torch.Tensor) -> torch.Tensor:
        """The local descriptors of the layer that the backbone is cut at, from those of `maps`."""
        if self.layer == 'dense':
            return descriptors
        return functional.avg_pool2d(functional.normalize(descriptors, dim=1), 2)

    def _grids(self, grey: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The grids of several strides that descriptors and logits share."""
        raise NotImplementedError

    def _dense(self, grids: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """The dense descriptors."""
        raise NotImplementedError

    def _logits(
        self, grey: torch.Tensor, grids: tuple[torch.Tensor, ...], dense: torch.Tensor
    ) -> torch.Tensor:
        """The logits of all pixels."""
        raise NotImplementedError


class ConvLayer(nn.Module):
    """Convolution without bias, batch norm, ReLU.

    Args:
        channels_in, channels: of the convolution.
        kernel, stride, padding, groups: of the convolution; its padding keeps the size by default.
        affine: whether the batch norm has scale and bias.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        *,
        affine: bool = True,
    ) -> None:
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.layer = nn.Sequential(
            nn.Conv2d(channels_in, channels, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(channels, affine=affine),
            nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, channels_in, H, W) to (N, channels, H / stride, W / stride)."""
        found: torch.Tensor = self.layer(x)
        return found


def enlarged(x: torch.Tensor, factor: int) -> torch.Tensor:
    """Bilinear upsampling by a whole factor.

    The factor is constant, not the size: onnxruntime has a faster kernel for that.
    """
    return functional.interpolate(x, scale_factor=factor, mode='bilinear', align_corners=False)
