"""The whole descriptor, from pixels to a unit vector: what is trained and what is exported."""

from __future__ import annotations

import torch
from torch import nn

from netvlad_ros.training.backbone import Backbone
from netvlad_ros.training.pooling import NetVLAD
from netvlad_ros.training.whitening import Whitening


class PlaceNetwork(nn.Module):
    """uint8 RGB images -> backbone -> NetVLAD -> whitening -> unit descriptor.

    Normalisation to the range that the backbone expects happens inside, so the exported graph
    takes plain pixels.

    Args:
        backbone: name of the trunk (see Backbone).
        clusters: K of NetVLAD.
        dim: width of the whitened descriptor.
    """

    def __init__(self, backbone: str = 'mobilenet_v2', clusters: int = 64, dim: int = 512) -> None:
        super().__init__()
        self.backbone = Backbone(backbone)
        self.pooling = NetVLAD(self.backbone.channels, clusters)
        self.whitening = Whitening(self.pooling.dim, dim)

    @staticmethod
    def normalise(images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> float32 (N, 3, H, W) in [-1, 1], as the weights want it."""
        return images.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1.0

    def pool(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> unit rows float32 (N, K * D): what the loss ranks."""
        return self.pooling(self.backbone(self.normalise(images)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> unit rows float32 (N, dim)."""
        return self.whitening(self.pool(images))
