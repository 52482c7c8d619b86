"""NetVLAD: soft-assigned, aggregated local descriptors (Arandjelovic et al., CVPR 2016)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class NetVLAD(nn.Module):
    """Residuals to K centroids, summed under a soft assignment (paper, section 3.1, eq. 4).

    V(k) = sum_i a_k(x_i) (x_i - c_k),  a_k(x) = softmax_k(w_k . x + b_k)

    w, b and c are trained separately, starting from w_k = 2 alpha c_k and b_k = -alpha |c_k|^2
    (eq. 3). The sum is one matrix product, A X - C * rowsum(A): no loop over clusters, no (N, K,
    D, H, W) tensor, and a small graph.

    Args:
        channels: D, width of the local descriptors.
        clusters: K.
    """

    def __init__(self, channels: int, clusters: int) -> None:
        super().__init__()
        self.channels = channels
        self.clusters = clusters
        self.dim = clusters * channels
        self.assignment = nn.Conv2d(channels, clusters, kernel_size=1, bias=True)
        self.centroids = nn.Parameter(torch.zeros(clusters, channels))

    @torch.no_grad()
    def initialise(self, centroids: torch.Tensor, alpha: float) -> None:
        """Sets c, w, b so that a_k(x) is proportional to exp(-alpha |x - c_k|^2).

        Args:
            centroids: (K, D), of L2-normalised local descriptors.
            alpha: softness, positive.
        """
        self.centroids.copy_(centroids)
        weight, bias = self.assignment.parameters()
        weight.copy_((2.0 * alpha * centroids)[:, :, None, None])
        bias.copy_(-alpha * centroids.square().sum(dim=1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pools local descriptors (N, D, H, W) to unit rows (N, K * D), cluster-major.

        Each x_i is L2-normalised first; each V(k) is L2-normalised (intra-normalisation), then the
        whole.
        """
        x = functional.normalize(features, dim=1)
        assignment = self.assignment(x).flatten(2).softmax(dim=1)  # (N, K, P)
        x = x.flatten(2)  # (N, D, P)
        vlad = (
            assignment @ x.transpose(1, 2) - assignment.sum(dim=2, keepdim=True) * self.centroids
        )  # (N, K, D)
        vlad = functional.normalize(vlad, dim=2)
        return functional.normalize(vlad.flatten(1), dim=1)
