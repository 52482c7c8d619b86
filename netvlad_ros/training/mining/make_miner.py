"""Miner: the interface of all miners, and make_miner: the miner of a configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.sections import MiningConfig
from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.mining.descriptor_cache import Describe
from netvlad_ros.training.mining.group_miner import GroupMiner
from netvlad_ros.training.mining.hard_miner import HardMiner
from netvlad_ros.training.mining.positives import (
    GeometricPositive,
    PositiveChoice,
    best_positive,
    random_positive,
)
from netvlad_ros.training.mining.random_miner import RandomMiner

__all__ = ['Miner', 'MiningConfig', 'make_miner']


class Miner(Protocol):
    """Draws the batches of a round.

    A round depends only on the seed, its number, the state and the weights behind `describe`. So a
    resumed run draws the same, and so does every process of a parallel run.
    """

    def round(self, number: int, count: int) -> list[TrainingBatch]:
        """ceil(count / batch) batches with `count` tuples, or places, in all."""

    def state(self) -> dict[str, Any]:
        """For JSON: what later rounds depend on, besides the weights."""

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state; raises NetvladError if it does not fit this miner."""


POSITIVES: dict[str, Callable[[MiningConfig, Supervision], PositiveChoice]] = {
    'best': lambda config, supervision: best_positive,
    'random': lambda config, supervision: random_positive,
    'geometric': lambda config, supervision: GeometricPositive(
        supervision.images, config.geometric_candidates, config.geometric_inliers
    ),
}


def make_miner(
    config: MiningConfig, supervision: Supervision, describe: Describe, *, batch: int, seed: int
) -> Miner:
    """The miner of this configuration.

    Args:
        config: its mode and numbers.
        supervision: training images and what is known of their places.
        describe: indices (M,) int64 -> pooled descriptors (M, D) float32, by the current network.
            Every round calls it again; mode `random` never does.
        batch: tuples in one batch; places with mode `groups`.
        seed: 0 or more.

    Raises:
        NetvladError: no image has a positive.
    """
    everything = config.mode == 'groups' and config.places == 'all'
    if not len(supervision.queries) and not everything:
        raise NetvladError(
            f'none of the {len(supervision.images)} training images has a potential positive: '
            'check positive_radius_m, positive_gap_min_s and positive_gap_max_s, or give images '
            'that show places more than once'
        )
    if config.mode == 'groups':
        return GroupMiner(
            supervision,
            describe,
            batch=batch,
            seed=seed,
            images_per_place=config.images_per_place,
            everything=everything,
            hard=config.hard_places,
            choice=config.choice,
            cache_mb=config.cache_mb,
        )
    if config.mode == 'random':
        return RandomMiner(supervision, batch=batch, seed=seed, negatives=config.negatives)
    return HardMiner(
        supervision,
        describe,
        POSITIVES[config.positives](config, supervision),
        batch=batch,
        seed=seed,
        pool=config.pool if config.mode == 'partial' else None,
        positive_pool=config.positive_pool,
        negatives=config.negatives,
        choice=config.choice,
        remember=config.remember,
        cache_mb=config.cache_mb,
    )
