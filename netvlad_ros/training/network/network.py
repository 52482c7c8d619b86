"""PlaceNetwork: from pixels to a unit descriptor; it is trained and exported."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.training.config.backbones import find_layer
from netvlad_ros.training.config.network import NetworkConfig
from netvlad_ros.training.network.backbones.base import Backbone
from netvlad_ros.training.network.backbones.local_backbone import LocalBackbone, LocalMaps
from netvlad_ros.training.network.backbones.make_backbone import make_backbone, make_local_backbone
from netvlad_ros.training.network.local_head import LOCAL_OUTPUTS, LocalHead
from netvlad_ros.training.network.normalisation import GreyNormalisation, make_normalisation
from netvlad_ros.training.network.poolings.base import Pooling
from netvlad_ros.training.network.poolings.make_pooling import make_pooling
from netvlad_ros.training.network.whitening import NoWhitening, Whitening, make_whitening


class PlaceNetwork(nn.Module):
    """uint8 RGB images -> backbone -> pooling -> whitening -> unit descriptor.

    The network normalises pixels itself, so the exported graph takes plain pixels. Weights are
    random until `initialise_network` or `load_network`.

    With a network of local features as the backbone, `answers` gives keypoints too, from the same
    pass. With one as `local_backbone` the two run side by side on one image.

    Args:
        config: which backbone, pooling and whitening.

    Attributes:
        config: which backbone, pooling and whitening.
        backbone: has .channels and .stride [px].
        pooling: has .dim.
        whitening: has .dim, which is config.dim.
        local_backbone: a second network, of local features; its weights are kept. None: there is
            none.
        local_head: picks keypoints; None: the network answers none.

    Raises:
        NetvladError: settings do not go together.
    """

    backbone: Backbone
    pooling: Pooling
    whitening: Whitening | NoWhitening
    local_backbone: LocalBackbone | None
    local_head: LocalHead | None

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.normalisation = make_normalisation(config.normalisation)
        self.backbone = make_backbone(config.backbone, config.layer)
        self.backbone.train_last(config.trainable_layers)
        self.pooling = make_pooling(config, self.backbone.channels)
        self.whitening = make_whitening(config, self.pooling.dim)
        self.local_head = LocalHead(config.keypoints) if config.local_network else None
        self.local_backbone = None
        if config.local_backbone:
            self.local_backbone = make_local_backbone(config.local_backbone)
            self.local_backbone.requires_grad_(False)
            self.grey = GreyNormalisation()

    @property
    def dim(self) -> int:
        """Width of the descriptor."""
        return self.whitening.dim

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to an image before the network."""
        return self.config.preprocessing

    @property
    def facts(self) -> dict[str, Any]:
        """Entries of the bundle's metadata: 'backbone', 'pooling', 'whitening', maybe 'local'."""
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
        facts: dict[str, Any] = {
            'backbone': f'{config.backbone}, {self.backbone.layer}, stride {self.backbone.stride}',
            'pooling': pooling,
            'whitening': whitening,
        }
        if config.local_network:
            facts['local'] = {
                **LOCAL_OUTPUTS,
                'dim': find_layer(config.local_network).channels,
                'max_keypoints': config.keypoints,
                'network': config.local_network,
            }
        return facts

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

    def answers(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the bundle answers for uint8 (N, H, W, 3) RGB.

        Returns:
            Unit rows float32 (N, dim); with a local head also what LocalHead returns. Each backbone
            runs once.
        """
        if self.local_head is None:
            return (self(images),)
        if self.local_backbone is None:
            pooled, maps = self._pool_with_maps(images)
        else:
            pixels = self.normalisation(images)
            pooled = self.pooling(self.backbone(pixels))
            if not isinstance(self.normalisation, GreyNormalisation):
                pixels = self.grey(images)
            maps = self.local_backbone.maps(pixels)
        return (self.whitening(pooled), *self.local_head(maps))

    def rank_with_maps(self, images: torch.Tensor) -> tuple[torch.Tensor, LocalMaps]:
        """What `rank` answers, and the maps of the backbone that it comes from.

        The backbone must be a network of local features.
        """
        pooled, maps = self._pool_with_maps(images)
        return self.whitening(pooled) if self.config.whitening == 'linear' else pooled, maps

    @property
    def local_trunk(self) -> LocalBackbone:
        """The backbone, which must be a network of local features."""
        assert isinstance(self.backbone, LocalBackbone)
        return self.backbone

    def _pool_with_maps(self, images: torch.Tensor) -> tuple[torch.Tensor, LocalMaps]:
        maps = self.local_trunk.maps(self.normalisation(images))
        return self.pooling(self.local_trunk.for_pooling(maps.descriptors)), maps

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
