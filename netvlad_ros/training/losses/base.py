"""What every loss is: a batch of unit descriptors in, one number out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.data.batch import TrainingBatch


class Loss(nn.Module, ABC):
    """A loss over the descriptors of one batch.

    Attributes:
        separable: the mean over `batch.parts()` equals the whole, so that the parts may be
            described and differentiated one after the other.
    """

    separable: bool = False

    def forward(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        """Scalar, in float32 at least: autocast is off in here, exponents do not forgive it.

        Args:
            descriptors: (M, D) unit rows, row i of image `batch.images[i]`.
            batch: what belongs together.

        Raises:
            NetvladError: another number of rows than images; a batch that this loss cannot use.
        """
        if len(descriptors) != len(batch):
            raise NetvladError(
                f'the loss got {len(descriptors)} descriptors for {len(batch)} images of a batch'
            )
        if descriptors.dtype in (torch.float16, torch.bfloat16):
            descriptors = descriptors.float()
        with torch.autocast(descriptors.device.type, enabled=False):
            return self._value(descriptors, batch)

    @abstractmethod
    def _value(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        """The loss of float descriptors (M, D); a scalar."""


def tuple_distances(
    descriptors: torch.Tensor, batch: TrainingBatch
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared distances of each query to its positive (B,) and to its negatives (B, J).

    A missing negative is infinitely far: no loss, no gradient.

    Raises:
        NetvladError: the batch has no tuples.
    """
    if not len(batch.tuples):
        raise NetvladError(
            'this loss ranks tuples, and mining by groups draws none: choose another mining mode, '
            'or the contrastive, multi_similarity or classification loss'
        )
    positions = torch.from_numpy(batch.tuples).to(descriptors.device)
    query, positive = descriptors[positions[:, 0]], descriptors[positions[:, 1]]
    negatives = descriptors[positions[:, 2:].clamp(min=0)]  # (B, J, D)
    to_positive = (query - positive).square().sum(dim=1)
    to_negatives = (query[:, None] - negatives).square().sum(dim=2)
    return to_positive, to_negatives.masked_fill(positions[:, 2:] < 0, torch.inf)
