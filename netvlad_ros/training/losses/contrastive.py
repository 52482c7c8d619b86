"""ContrastiveLoss over tuples or groups."""

from __future__ import annotations

import torch

from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.losses.base import Loss, tuple_distances

SMALLEST = 1e-12  # squared distance below which a negative has no gradient


class ContrastiveLoss(Loss):
    """|a - b|^2 / 2 of positive pairs, max(0, margin - |a - b|)^2 / 2 of negative ones.

    Over tuples: the sum over the pairs of a query, then the mean over the queries. Over groups: the
    mean of the positive pairs plus the mean of the negative pairs nearer than the margin. Most
    negative pairs are farther; with them the mean would be close to 0. The loss is not separable,
    because groups are not.

    Source:
        Hadsell, Chopra and LeCun, CVPR 2006.
        Radenovic et al., "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2019
        (over tuples).

    Args:
        margin: distance of unit descriptors that negatives must keep.
    """

    def __init__(self, margin: float = 0.7) -> None:
        super().__init__()
        self.margin = margin

    def _value(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        if len(batch.tuples):
            to_positive, to_negatives = tuple_distances(descriptors, batch)
            return (to_positive / 2 + self._repulsion(to_negatives).sum(dim=1)).mean()
        squared = (descriptors[:, None] - descriptors).square().sum(dim=2)
        positive, negative = (
            torch.from_numpy(pairs).to(descriptors.device).triu(diagonal=1)
            for pairs in (batch.positive, batch.negative)
        )
        attraction = squared[positive] / 2
        repulsion = self._repulsion(squared[negative])
        active = (repulsion > 0).sum().clamp(min=1)
        return attraction.sum() / max(len(attraction), 1) + repulsion.sum() / active

    def _repulsion(self, squared: torch.Tensor) -> torch.Tensor:
        distance = squared.clamp(min=SMALLEST).sqrt()
        return (self.margin - distance).clamp(min=0.0).square() / 2
