"""NetVLAD: residuals of local descriptors, summed under a soft assignment to clusters."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.config.network import NetworkConfig
from netvlad_ros.training.network.poolings.base import Pooling


class NetVLAD(Pooling):
    """Residuals to K centroids, summed under a soft assignment.

    V(k) = sum_i a_k(x_i) (x_i - c_k),  a_k(x) = softmax_k(w_k . x + b_k)

    w, b and c are trained separately. They start from w_k = 2 alpha c_k and b_k = -alpha |c_k|^2
    (equation 3). The sum is one matrix product, A X - C * rowsum(A). It needs no loop over clusters
    and no (N, K, D, H, W) tensor, and its graph is small.

    Source:
        Arandjelovic et al., CVPR 2016, section 3.1, equation 4.
        Zhong et al., GhostVLAD, ACCV 2018 (ghost clusters).
        Arandjelovic and Zisserman, CVPR 2013 (intra-normalisation).

    Args:
        channels: D, width of the local descriptors.
        clusters: K.
        ghost_clusters: further clusters in the softmax, which are then dropped. They absorb local
            descriptors that show no place.
        decoupled_bias: whether there is a bias b. The released networks of the authors have none,
            a_k(x) = softmax_k(w_k . x): with centroids of unit length b starts equal for all k.
        intra_normalise: L2 of each V(k), then of the whole.

    Attributes:
        dim: K * D.
        assignment: 1x1 convolution, weight (K + ghosts, D, 1, 1), bias (K + ghosts,) or None.
        centroids: (K, D).
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
        super().__init__(clusters * channels)
        self.channels, self.clusters, self.ghost_clusters = channels, clusters, ghost_clusters
        self.intra_normalise = intra_normalise
        self.assignment = nn.Conv2d(
            channels, clusters + ghost_clusters, kernel_size=1, bias=decoupled_bias
        )
        self.centroids = nn.Parameter(torch.zeros(clusters, channels))

    @classmethod
    def of(cls, config: NetworkConfig, channels: int) -> NetVLAD:
        """The layer of a configuration."""
        return cls(
            channels,
            config.clusters,
            ghost_clusters=config.ghost_clusters,
            decoupled_bias=config.decoupled_bias,
            intra_normalise=config.intra_normalise,
        )

    @torch.no_grad()
    def initialise(self, centroids: torch.Tensor, alpha: float) -> None:
        """Sets c, w, b so that a_k(x) is proportional to exp(-alpha |x - c_k|^2).

        Without a bias this holds for centroids of unit length; then w is set by these.

        Args:
            centroids: (K + ghosts, D), of L2-normalised local descriptors; ghosts come last.
            alpha: softness, positive.
        """
        self.centroids.copy_(centroids[: self.clusters])
        anchors = self.anchors(centroids)
        self.assignment.weight.copy_((2.0 * alpha * anchors)[:, :, None, None])
        if self.assignment.bias is not None:
            self.assignment.bias.copy_(-alpha * anchors.square().sum(dim=1))

    def anchors(self, centroids: torch.Tensor) -> torch.Tensor:
        """The points (K + ghosts, D) whose distances decide the initial assignment."""
        if self.assignment.bias is not None:
            return centroids
        return functional.normalize(centroids, dim=1)

    def soft_assignment(self, features: torch.Tensor) -> torch.Tensor:
        """a_k(x_i) of features (N, D, H, W): (N, K + ghosts, H, W), one if summed over clusters."""
        return self.assignment(functional.normalize(features, dim=1)).softmax(dim=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, K * D), cluster-major.

        Each x_i is L2-normalised first. Points come before clusters here, because onnxruntime is
        slow for a softmax along any axis but the last: on a grid of 88 x 120 points the whole layer
        took 17 ms so, and takes 6 ms now.
        """
        points = functional.normalize(features, dim=1).flatten(2).transpose(1, 2)  # (N, P, D)
        scores = functional.linear(points, self.assignment.weight[:, :, 0, 0], self.assignment.bias)
        weights = scores.softmax(dim=2)[..., : self.clusters].transpose(1, 2)
        return self._residuals(points, weights)

    def aggregate(self, x: torch.Tensor, assignment: torch.Tensor) -> torch.Tensor:
        """Sums residuals of x (N, D, H, W) under assignment (N, K + ghosts, H, W); unit rows."""
        weights = assignment[:, : self.clusters].flatten(2)
        return self._residuals(x.flatten(2).transpose(1, 2), weights)

    def _residuals(self, points: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Sums residuals of points (N, P, D) under weights (N, K, P); unit rows."""
        vlad = weights @ points - weights.sum(dim=2, keepdim=True) * self.centroids  # (N, K, D)
        if self.intra_normalise:
            vlad = functional.normalize(vlad, dim=2)
        return functional.normalize(vlad.flatten(1), dim=1)
