"""CRN: NetVLAD whose local descriptors are weighted by their context.

Source: Kim, Dunn and Frahm, CVPR 2017.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.network.poolings.netvlad import NetVLAD

_FILTERS = ((3, 32), (5, 32), (7, 20))  # side of the context, number of filters (paper, fig. 3)


class ContextualReweighting(nn.Module):
    """A weight m >= 0 for every local descriptor, from its surroundings.

    Context filters of three sizes are applied to the local descriptors at half the resolution. A
    1x1 convolution of their output gives m, which is interpolated to full resolution.

    Args:
        channels: D, width of the local descriptors.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.context = nn.ModuleList(
            nn.Conv2d(channels, count, side, padding=side // 2) for side, count in _FILTERS
        )
        self.accumulate = nn.Conv2d(sum(count for _, count in _FILTERS), 1, 1)

    @torch.no_grad()
    def initialise(self) -> None:
        """Random filters, and m near 1: the layer starts as NetVLAD, with all ReLUs active."""
        for layer in self.context:
            assert isinstance(layer, nn.Conv2d) and layer.bias is not None
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.accumulate.weight, std=0.01)
        assert self.accumulate.bias is not None
        nn.init.ones_(self.accumulate.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps unit local descriptors (N, D, H, W), sides of 3 or more, to m (N, 1, H, W)."""
        coarse = functional.avg_pool2d(x, kernel_size=3, stride=2, ceil_mode=True)
        context = torch.cat([layer(coarse) for layer in self.context], dim=1).relu()
        m = self.accumulate(context).relu()
        return functional.interpolate(m, size=x.shape[2:], mode='bilinear', align_corners=False)


class CRN(NetVLAD):
    """V(k) = sum_i m(x_i) a_k(x_i) (x_i - c_k), with m from the context of x_i.

    Arguments and attributes are those of NetVLAD.

    Attributes:
        reweighting: gives m.
    """

    def __init__(
        self,
        channels: int,
        clusters: int,
        *,
        ghost_clusters: int = 0,
        decoupled_bias: bool = True,
        intra_normalise: bool = True,
    ) -> None:
        super().__init__(
            channels,
            clusters,
            ghost_clusters=ghost_clusters,
            decoupled_bias=decoupled_bias,
            intra_normalise=intra_normalise,
        )
        self.reweighting = ContextualReweighting(channels)

    def initialise(self, centroids: torch.Tensor, alpha: float) -> None:
        """As NetVLAD; the weights m start near 1."""
        super().initialise(centroids, alpha)
        self.reweighting.initialise()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, K * D), cluster-major."""
        x = functional.normalize(features, dim=1)
        return self.aggregate(x, self.assignment(x).softmax(dim=1) * self.reweighting(x))
