"""PlaceNetwork: from pixels to a unit descriptor; it is trained and exported."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.training.config.network import NetworkConfig
from netvlad_ros.training.network.backbone import Backbone
from netvlad_ros.training.network.normalisation import Normalisation
from netvlad_ros.training.network.poolings.base import Pooling
from netvlad_ros.training.network.poolings.make_pooling import make_pooling
from netvlad_ros.training.network.whitening import NoWhitening, Whitening, make_whitening


class PlaceNetwork(nn.Module):
    """uint8 RGB images -> backbone -> pooling -> whitening -> unit descriptor.

    The network normalises pixels itself, so the exported graph takes plain pixels. Weights are
    random until `initialise_network` or `load_network`.

    Args:
        config: which backbone, pooling and whitening.

    Attributes:
        config: which backbone, pooling and whitening.
        backbone: has .channels and .stride [px].
        pooling: has .dim.
        whitening: has .dim, which is config.dim.

    Raises:
        NetvladError: settings do not go together.
    """

    backbone: Backbone
    pooling: Pooling
    whitening: Whitening | NoWhitening

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.normalisation = Normalisation(config.normalisation)
        self.backbone = Backbone(config.backbone, config.layer)
        self.backbone.train_last(config.trainable_layers)
        self.pooling = make_pooling(config, self.backbone.channels)
        self.whitening = make_whitening(config, self.pooling.dim)

    @property
    def dim(self) -> int:
        """Width of the descriptor."""
        return self.whitening.dim

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to an image before the network."""
        return self.config.preprocessing

    @property
    def facts(self) -> dict[str, str]:
        """Entries of the bundle's metadata: 'backbone', 'pooling', 'whitening'."""
        config = self.config
        pooling = config.pooling
        if pooling in ('netvlad', 'crn'):
            pooling += f', {config.clusters} clusters'
            pooling += f' and {config.ghost_clusters} ghosts' if config.ghost_clusters else ''
        whitening = config.whitening
        if whitening != 'none':
            whitening += f', {self.dim} dimensions, shrinkage {config.shrinkage:g}'
            if whitening.startswith('pca') and config.whitening_views > 1:
                whitening += f', fitted on {config.whitening_views} views of each image'
        return {
            'backbone': f'{config.backbone}, {self.backbone.layer}, stride {self.backbone.stride}',
            'pooling': pooling,
            'whitening': whitening,
        }

    def local_descriptors(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> float32 (N, channels, H / stride, W / stride), not normalised.

        The input of the pooling.
        """
        return self.backbone(self.normalisation(images))

    def pool(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> unit rows float32 (N, pooling.dim), before whitening."""
        return self.pooling(self.local_descriptors(images))

    def rank(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> unit rows float32 (N, rank_dim), which a loss compares.

        A trained whitening is applied; one that is fitted after training is not.
        """
        return self(images) if self.config.whitening == 'linear' else self.pool(images)

    @property
    def rank_dim(self) -> int:
        """Width of the descriptors of `rank`."""
        return self.whitening.dim if self.config.whitening == 'linear' else self.pooling.dim

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> unit rows float32 (N, dim)."""
        return self.whitening(self.pool(images))

    def parameter_groups(self, lr_backbone: float, lr_pooling: float) -> list[dict[str, Any]]:
        """Parameters that train, for an optimizer: backbone, then pooling with trained whitening.

        Args:
            lr_backbone: learning rate of the backbone.
            lr_pooling: learning rate of the rest.

        Returns:
            Groups with 'params' and 'lr'; a part without trained parameters has no group.
        """
        parts = (
            ([self.backbone], lr_backbone),
            ([self.pooling, self.whitening], lr_pooling),
        )
        groups = []
        for modules, rate in parts:
            params = [p for module in modules for p in module.parameters() if p.requires_grad]
            if params:
                groups.append({'params': params, 'lr': rate})
        return groups
