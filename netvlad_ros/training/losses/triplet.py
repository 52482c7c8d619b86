"""TripletRankingLoss: the weakly supervised ranking loss of NetVLAD."""

from __future__ import annotations

import torch

from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.losses.base import Loss, tuple_distances


class TripletRankingLoss(Loss):
    """The mean over the queries of sum_j max(0, |q - p|^2 + margin - |q - n_j|^2).

    p is the positive that the miner chose; in the paper it is the nearest potential positive.

    Source:
        Arandjelovic et al., CVPR 2016, section 4, equation 7.

    Args:
        margin: of squared distances; 0.1 in the paper.
    """

    separable = True

    def __init__(self, margin: float = 0.1) -> None:
        super().__init__()
        self.margin = margin

    def _value(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        to_positive, to_negatives = tuple_distances(descriptors, batch)
        hinge = (to_positive[:, None] + self.margin - to_negatives).clamp(min=0.0)
        return hinge.sum(dim=1).mean()
