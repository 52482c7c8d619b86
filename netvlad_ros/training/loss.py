"""The loss of a training run, by name."""

from __future__ import annotations

from collections.abc import Callable

from netvlad_ros.training.loss_config import LossConfig
from netvlad_ros.training.losses.base import Loss
from netvlad_ros.training.losses.classification import ClassificationLoss
from netvlad_ros.training.losses.contrastive import ContrastiveLoss
from netvlad_ros.training.losses.multi_similarity import MultiSimilarityLoss
from netvlad_ros.training.losses.sare import SareIndependentLoss, SareJointLoss
from netvlad_ros.training.losses.triplet import TripletRankingLoss

__all__ = ['Loss', 'LossConfig', 'make_loss']

LOSSES: dict[str, Callable[[LossConfig, int, int], Loss]] = {
    'triplet': lambda c, dim, classes: TripletRankingLoss(c.margin),
    'contrastive': lambda c, dim, classes: ContrastiveLoss(c.contrastive_margin),
    'sare_joint': lambda c, dim, classes: SareJointLoss(c.temperature),
    'sare_independent': lambda c, dim, classes: SareIndependentLoss(c.temperature),
    'multi_similarity': lambda c, dim, classes: MultiSimilarityLoss(
        c.alpha, c.beta, c.base, c.epsilon
    ),
    'classification': lambda c, dim, classes: ClassificationLoss(
        dim, classes, c.scale, c.cosface_margin
    ),
}


def make_loss(config: LossConfig, dim: int, classes: int) -> Loss:
    """The loss of this configuration.

    Args:
        config: its kind and numbers.
        dim: D of the descriptors that it will see.
        classes: number of spatial cells; only the classification loss asks for it.

    Raises:
        NetvladError: the classification loss without cells.
    """
    return LOSSES[config.kind](config, dim, classes)
