"""NetVLAD as the MATLAB release computes it, apart from the normalisations around it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class MatlabVlad(nn.Module):
    """V(k) = sum_i a_k(x_i) (x_i - c_k), a_k(x) = softmax_k(w_k . x + b_k), nothing normalised.

    Normalisations are layers of their own in those files, with an epsilon that NetVLAD of the
    training room does without.

    Args:
        weight: w, (K, D).
        bias: b, (K,).
        centroids: c, (K, D).
    """

    weight: torch.Tensor
    bias: torch.Tensor
    centroids: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, centroids: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer('weight', weight[:, :, None, None])
        self.register_buffer('bias', bias)
        self.register_buffer('centroids', centroids)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools (N, D, H, W) to (N, K, D)."""
        assignment = functional.conv2d(x, self.weight, self.bias).softmax(dim=1).flatten(2)
        mass = assignment.sum(dim=2, keepdim=True)
        return assignment @ x.flatten(2).transpose(1, 2) - mass * self.centroids


class ClusterFastest(nn.Module):
    """(N, K, D) -> (N, D * K): MATLAB's order of a vector, and that of its PCA."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Flattens with clusters running fastest."""
        return x.transpose(1, 2).flatten(1)
