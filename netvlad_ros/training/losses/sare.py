"""SareJointLoss and SareIndependentLoss: stochastic attraction-repulsion embedding.

Source: Liu, Li and Dai, ICCV 2019, with the Gaussian kernel.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.losses.base import Loss, tuple_distances


class _SareLoss(Loss):
    separable = True

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature

    def _exponents(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        to_positive, to_negatives = tuple_distances(descriptors, batch)
        return (to_positive[:, None] - to_negatives) / self.temperature  # (B, J)


class SareJointLoss(_SareLoss):
    """The mean over the queries of -log( e^-|q-p|^2 / (e^-|q-p|^2 + sum_j e^-|q-n_j|^2) ).

    All negatives of a query share one probability (SARE-Joint).

    Args:
        temperature: divides the squared distances; 1 in the paper.
    """

    def _value(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        exponents = functional.pad(self._exponents(descriptors, batch), (1, 0))
        return exponents.logsumexp(dim=1).mean()


class SareIndependentLoss(_SareLoss):
    """The mean over the queries of -sum_j log( e^-|q-p|^2 / (e^-|q-p|^2 + e^-|q-n_j|^2) ).

    Each negative is compared with the positive by itself (SARE-Ind.).

    Args:
        temperature: divides the squared distances; 1 in the paper.
    """

    def _value(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        return functional.softplus(self._exponents(descriptors, batch)).sum(dim=1).mean()
