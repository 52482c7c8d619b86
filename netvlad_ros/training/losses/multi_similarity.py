"""MultiSimilarityLoss over all pairs of a batch."""

from __future__ import annotations

import torch
from torch.nn import functional

from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.losses.base import Loss


class MultiSimilarityLoss(Loss):
    """Pull of the positives and push of the negatives of each anchor i:

        log(1 + sum_p e^(-alpha (s_ip - base))) / alpha
        + log(1 + sum_n e^(beta (s_in - base))) / beta

    where s are cosines. Of the pairs of an anchor, a negative counts if it is more similar than the
    least similar positive minus epsilon. A positive counts if it is less similar than the most
    similar negative plus epsilon. The loss is the mean over the images that have both kinds of
    pairs; other images are no anchors.

    The defaults are those for places (Ali-bey et al., "GSV-Cities", 2022).

    Source:
        Wang et al., CVPR 2019.

    Args:
        alpha: sharpness for positives; 2 in the paper.
        beta: sharpness for negatives; 50 in the paper.
        base: cosine that both are counted from; 1 in the paper.
        epsilon: slack of the choice of pairs; 0.1 in the paper.
    """

    def __init__(
        self, alpha: float = 1.0, beta: float = 50.0, base: float = 0.0, epsilon: float = 0.1
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta
        self.base = base
        self.epsilon = epsilon

    def _value(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        similar = descriptors @ descriptors.T  # (M, M)
        positive = torch.from_numpy(batch.positive).to(similar.device)
        negative = torch.from_numpy(batch.negative).to(similar.device)
        anchors = positive.any(dim=1) & negative.any(dim=1)
        if not anchors.any():
            return descriptors.sum() * 0.0
        similar, positive, negative = similar[anchors], positive[anchors], negative[anchors]
        with torch.no_grad():
            farthest = similar.masked_fill(~positive, torch.inf).amin(dim=1, keepdim=True)
            nearest = similar.masked_fill(~negative, -torch.inf).amax(dim=1, keepdim=True)
            positive &= similar < nearest + self.epsilon
            negative &= similar > farthest - self.epsilon
        pull = _log_one_plus_sum(-self.alpha * (similar - self.base), positive) / self.alpha
        push = _log_one_plus_sum(self.beta * (similar - self.base), negative) / self.beta
        return (pull + push).mean()


def _log_one_plus_sum(exponents: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """log(1 + sum of exp over the chosen) of each row; 0 in rows where nothing is chosen."""
    return functional.pad(exponents.masked_fill(~chosen, -torch.inf), (1, 0)).logsumexp(dim=1)
