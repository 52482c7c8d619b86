"""How the loop steps: how often, how far, in which precision, and when it stops."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netvlad_ros.training.settings import Settings, setting


@dataclass(frozen=True)
class LoopConfig(Settings):
    """Everything about the steps that is neither network, images, mining nor loss."""

    steps: int = setting(200, 'updates in all; 0 keeps the initialisation', 0, 10**8)
    round_steps: int = setting(50, 'updates on one mined cache; a checkpoint each round', 1, 10**6)
    batch: int = setting(4, 'tuples (or places) in one batch, over all processes', 1, 10**4)
    accumulate: int = setting(1, 'batches whose gradients one update averages', 1, 10**4)
    chunk: int = setting(
        0,
        'images whose activations are kept at once; 0: 32 on the CPU, 128 on a GPU',
        0,
        10**5,
    )
    workers: int = setting(
        -1,
        'processes that read and augment images ahead; -1: 1 on the CPU, 8 on a GPU',
        -1,
        64,
    )
    amp: str = setting(
        'none', 'precision of the activations', choices=('none', 'bfloat16', 'float16')
    )
    optimizer: str = setting('adam', 'which optimizer', choices=('adam', 'adamw', 'sgd'))
    lr_backbone: float = setting(1e-5, 'learning rate of the backbone', 0.0, 10.0)
    lr_pooling: float = setting(1e-4, 'learning rate of pooling and loss', 0.0, 10.0)
    weight_decay: float = setting(0.0, 'of the optimizer', 0.0, 10.0)
    schedule: str = setting(
        'constant', 'of the learning rates after the warm-up', choices=('constant', 'cosine')
    )
    warmup: int = setting(0, 'steps over which the learning rates rise from 0', 0, 10**7)
    validate_every: int = setting(
        1, 'rounds between two validations; 0: never, and the last weights are exported', 0, 10**6
    )
    patience: int = setting(
        0, 'validations without a better recall@5 after which training stops; 0: never', 0, 10**6
    )
    keep: float = setting(
        1.0,
        'share of the learned change that is kept: initial + keep * (trained - initial)',
        0.0,
        1.0,
    )

    def lr_factor(self, step: int) -> float:
        """What the learning rates are multiplied by at step (the first is 0)."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.schedule == 'constant':
            return 1.0
        share = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))

    def chunk_on(self, device: str) -> int:
        """Images whose activations are in memory at once, on a device type ('cpu', 'cuda')."""
        return self.chunk or (32 if device == 'cpu' else 128)
