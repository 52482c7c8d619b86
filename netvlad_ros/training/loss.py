"""The weakly supervised triplet ranking loss (paper, section 4, eq. 7)."""

from __future__ import annotations

import torch


def triplet_ranking_loss(
    query: torch.Tensor, positive: torch.Tensor, negatives: torch.Tensor, margin: float
) -> torch.Tensor:
    """sum_j max(0, |q - p|^2 + margin - |q - n_j|^2), averaged over the batch.

    Args:
        query: (B, D) unit rows.
        positive: (B, D) unit rows, the best positive of each query.
        negatives: (B, J, D) unit rows.
        margin: in units of squared distance; 0.1 in the paper.

    Returns:
        Scalar.
    """
    to_positive = (query - positive).square().sum(dim=1, keepdim=True)  # (B, 1)
    to_negatives = (query[:, None] - negatives).square().sum(dim=2)  # (B, J)
    return (to_positive + margin - to_negatives).clamp(min=0.0).sum(dim=1).mean()
