"""Loss: the interface of all losses, and the distances within tuples."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.data.batch import TrainingBatch


class Loss(nn.Module, ABC):
    """A loss over the descriptors of one batch.

    Attributes:
        separable: the loss of a batch is the mean of the losses of `batch.parts()`. The parts may
            then be described and differentiated one after the other.
    """

    separable: bool = False

    def forward(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        """The loss, a scalar, at least float32: autocast is off, exponentials need the precision.

        Args:
            descriptors: (M, D) unit rows, row i of image `batch.images[i]`.
            batch: which images show one place.

        Raises:
            NetvladError: rows and images differ in number; the loss cannot use the batch.
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

    A missing negative has an infinite distance: no loss, no gradient.

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
