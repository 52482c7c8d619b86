"""ImportedNetwork: a public model that maps pixels to a unit descriptor."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.training.network.normalisation import Normalisation


class ImportedNetwork(nn.Module):
    """uint8 RGB images -> normalised pixels -> layers -> unit descriptor.

    The layers are those of the file, in its order. Public trainers normalise at different places;
    another place would give another descriptor.

    Args:
        layers: maps float32 (N, 3, H, W) to (N, dim).
        dim: width of the descriptor.
        normalisation: of pixels.
        preprocessing: how images are resized for the layers.
        facts: 'backbone', 'pooling' and 'whitening' for the bundle's metadata.
    """

    def __init__(
        self,
        layers: nn.Module,
        dim: int,
        normalisation: Normalisation,
        preprocessing: Preprocessing,
        facts: dict[str, Any],
    ) -> None:
        super().__init__()
        self.normalisation = normalisation
        self.layers = layers
        self.dim = dim
        self.preprocessing = preprocessing
        self.facts = facts
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> unit rows float32 (N, dim)."""
        return functional.normalize(self.layers(self.normalisation(images)), dim=1)
