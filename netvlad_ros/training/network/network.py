"""PlaceNetwork: from pixels to a unit descriptor; it is trained and exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.offline.bundles.fewer_dimensions import IN_TURNS
from netvlad_ros.training.config.backbones import find_layer
from netvlad_ros.training.config.network import NetworkConfig
from netvlad_ros.training.network.backbones.base import Backbone
from netvlad_ros.training.network.backbones.local_backbone import LocalBackbone, LocalMaps
from netvlad_ros.training.network.backbones.make_backbone import make_backbone, make_local_backbone
from netvlad_ros.training.network.local_head import LOCAL_OUTPUTS, LocalHead
from netvlad_ros.training.network.normalisation import GreyNormalisation, make_normalisation
from netvlad_ros.training.network.poolings.base import Pooling
from netvlad_ros.training.network.poolings.make_pooling import make_pooling
from netvlad_ros.training.network.poolings.netvlad import NetVLAD
from netvlad_ros.training.network.whitening import AnyWhitening, make_whitening

# The local descriptors of images: uint8 (N, H, W, 3) -> float32 (N, channels, h, w).
LocalDescriptors = Callable[[torch.Tensor], torch.Tensor]


class PlaceNetwork(nn.Module):
    """uint8 RGB images -> backbone -> pooling -> whitening -> unit descriptor.

    The network normalises pixels itself, so the exported graph takes plain pixels. Weights are
    random until `initialise_network` or `load_network`.

    With a network of local features as the backbone, `answers` gives keypoints too, from the same
    pass. With one as `local_backbone` the two run side by side on one image. With a `local_share`
    the dense descriptors of the second are pooled too: a descriptor has a part from each, and a
    similarity is (1 - local_share) times that of the first plus local_share times that of the
    second.

    Args:
        config: which backbone, pooling and whitening.

    Attributes:
        config: which backbone, pooling and whitening.
        backbone: has .channels and .stride [px].
        pooling: has .dim.
        whitening: has .dim, which is config.dim.
        local_backbone: a second network, of local features. It trains if it has a share in the
            descriptor. None: there is none.
        local_pooling: NetVLAD over its dense descriptors; None: it has no share.
        local_head: picks keypoints; None: the network answers none.

    Raises:
        NetvladError: settings do not go together.
    """

    backbone: Backbone
    pooling: Pooling
    whitening: AnyWhitening
    local_backbone: LocalBackbone | None
    local_pooling: NetVLAD | None
    local_head: LocalHead | None

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.normalisation = make_normalisation(config.normalisation)
        self.grey = GreyNormalisation()
        self.backbone = make_backbone(config.backbone, config.layer)
        self.backbone.train_last(config.trainable_layers)
        self.pooling = make_pooling(config, self.backbone.channels)
        self.pooling.requires_grad_(not config.pooling_weights)
        self.local_head = LocalHead(config.keypoints) if config.local_network else None
        self.local_backbone = self.local_pooling = None
        if config.local_backbone:
            self.local_backbone = make_local_backbone(config.local_backbone, config.local_layer)
            self.local_backbone.requires_grad_(config.local_share > 0.0)
            if config.local_share:
                self.local_pooling = NetVLAD.of(config, self.local_backbone.channels)
        self.whitening = make_whitening(config, [branch.dim for branch in self.poolings])

    @property
    def dim(self) -> int:
        """Width of the descriptor."""
        return self.whitening.dim

    @property
    def poolings(self) -> list[Pooling]:
        """The layers whose results make the pooled descriptor, one after the other."""
        return [self.pooling, *([] if self.local_pooling is None else [self.local_pooling])]

    @property
    def branches(self) -> list[tuple[Pooling, LocalDescriptors]]:
        """Each pooling, and what gives its input."""
        found: list[tuple[Pooling, LocalDescriptors]] = [(self.pooling, self.local_descriptors)]
        if self.local_pooling is not None:
            trunk = self.local_trunk
            found.append((self.local_pooling, lambda images: trunk(self.grey(images))))
        return found

    @property
    def pooled_dim(self) -> int:
        """Width of the descriptor before whitening."""
        return sum(branch.dim for branch in self.poolings)

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
        if self.local_pooling is not None and whitening != 'none':
            whitening += f', {IN_TURNS}'
        facts: dict[str, Any] = {
            'backbone': _summary(self.backbone),
            'pooling': pooling,
            'whitening': whitening,
        }
        if self.local_pooling is not None:
            assert self.local_backbone is not None
            facts['backbone'] += f'; {_summary(self.local_backbone)}'
            facts['pooling'] += f'; the second has a share of {config.local_share:g}'
        if config.local_network:
            facts['local'] = {
                **LOCAL_OUTPUTS,
                'dim': find_layer(config.local_network).channels,
                'max_keypoints': config.keypoints,
                'network': config.local_network,
            }
        return facts

    def local_descriptors(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> float32 (N, channels, h, w), not normalised.

        The input of the pooling.
        """
        return self._backbone(self.normalisation(images))

    def pool(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> unit rows float32 (N, pooled_dim), before whitening."""
        pixels = self.normalisation(images)
        pooled = self.pooling(self._backbone(pixels))
        if self.local_backbone is None or self.local_pooling is None:
            return pooled
        return self._joined(pooled, self.local_backbone(self._grey(images, pixels)))

    def rank(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> unit rows float32 (N, rank_dim), which a loss compares.

        A trained whitening is applied; one that is fitted after training is not.
        """
        return self(images) if self.config.whitening == 'linear' else self.pool(images)

    @property
    def rank_dim(self) -> int:
        """Width of the descriptors of `rank`."""
        return self.whitening.dim if self.config.whitening == 'linear' else self.pooled_dim

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
        pooled, maps = self._pool_with_maps(images)
        return (self.whitening(pooled), *self.local_head(maps))

    def rank_with_maps(self, images: torch.Tensor) -> tuple[torch.Tensor, LocalMaps]:
        """What `rank` answers, and the maps of local_trunk for these images."""
        pooled, maps = self._pool_with_maps(images)
        return self.whitening(pooled) if self.config.whitening == 'linear' else pooled, maps

    @property
    def local_trunk(self) -> LocalBackbone:
        """The network of local features; there must be one."""
        trunk = self.local_backbone or self.backbone
        assert isinstance(trunk, LocalBackbone)
        return trunk

    def _pool_with_maps(self, images: torch.Tensor) -> tuple[torch.Tensor, LocalMaps]:
        pixels = self.normalisation(images)
        maps = self.local_trunk.maps(self._grey(images, pixels))
        dense = self.local_trunk.for_pooling(maps.descriptors)
        if self.local_backbone is None:
            return self.pooling(dense), maps
        pooled = self.pooling(self._backbone(pixels))
        return (pooled if self.local_pooling is None else self._joined(pooled, dense)), maps

    def _backbone(self, pixels: torch.Tensor) -> torch.Tensor:
        """The backbone's local descriptors of normalised pixels, which it gets in its own size."""
        scale = self.config.backbone_scale
        if scale < 1.0:
            pixels = functional.interpolate(
                pixels, scale_factor=scale, mode='bilinear', align_corners=False
            )
        return self.backbone(pixels)

    def _joined(self, pooled: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        """Unit rows of both branches, whose products add up by their shares."""
        assert self.local_pooling is not None
        share = self.config.local_share
        parts = [pooled * (1.0 - share) ** 0.5, self.local_pooling(dense) * share**0.5]
        return torch.cat(parts, dim=1)

    def _grey(self, images: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """The input of a network of local features; pixels if they are that already."""
        return pixels if pixels.shape[1] == 1 else self.grey(images)

    def parameter_groups(self, lr_backbone: float, lr_pooling: float) -> list[dict[str, Any]]:
        """Parameters that train, for an optimizer: backbone, then pooling with trained whitening.

        Args:
            lr_backbone: learning rate of the backbone.
            lr_pooling: learning rate of the rest.

        Returns:
            Groups with 'params' and 'lr'; a part without trained parameters has no group.
        """
        parts = (
            ([self.backbone, *filter(None, [self.local_backbone])], lr_backbone),
            ([*self.poolings, self.whitening], lr_pooling),
        )
        groups = []
        for modules, rate in parts:
            params = [p for module in modules for p in module.parameters() if p.requires_grad]
            if params:
                groups.append({'params': params, 'lr': rate})
        return groups


def _summary(backbone: Backbone) -> str:
    return f'{backbone.name}, {backbone.layer}, stride {backbone.stride}'
