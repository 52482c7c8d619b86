"""make_loss: the loss that a configuration asks for, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.training.config.sections import LossConfig
from netvlad_ros.training.losses.base import Loss
from netvlad_ros.training.losses.classification import ClassificationLoss
from netvlad_ros.training.losses.contrastive import ContrastiveLoss
from netvlad_ros.training.losses.multi_similarity import MultiSimilarityLoss
from netvlad_ros.training.losses.sare import SareIndependentLoss, SareJointLoss
from netvlad_ros.training.losses.triplet import TripletRankingLoss

__all__ = ['Loss', 'LossConfig', 'make_loss']

LOSSES: dict[str, Callable[[LossConfig, int, NDArray[np.int64]], Loss]] = {
    'triplet': lambda c, dim, groups: TripletRankingLoss(c.margin),
    'contrastive': lambda c, dim, groups: ContrastiveLoss(c.contrastive_margin),
    'sare_joint': lambda c, dim, groups: SareJointLoss(c.temperature),
    'sare_independent': lambda c, dim, groups: SareIndependentLoss(c.temperature),
    'multi_similarity': lambda c, dim, groups: MultiSimilarityLoss(
        c.alpha, c.beta, c.base, c.epsilon
    ),
    'classification': lambda c, dim, groups: ClassificationLoss(
        dim, groups, c.scale, c.cosface_margin
    ),
}


def make_loss(config: LossConfig, dim: int, groups: NDArray[np.int64]) -> Loss:
    """The loss of a configuration.

    Args:
        config: kind and numbers of the loss.
        dim: D, width of the descriptors.
        groups: (C,) int64, group of each spatial cell (Supervision.cells); only the classification
            loss uses it.

    Raises:
        NetvladError: the classification loss has no cells.
    """
    return LOSSES[config.kind](config, dim, groups)
