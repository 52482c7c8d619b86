"""ClassificationLoss: CosFace over spatial cells, as in CosPlace."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.losses.base import Loss


class ClassificationLoss(Loss):
    """Cross entropy of scale * (cos(d, w_c) - margin [c is d's cell]) over the cells c of a group.

    This is the mean over the images that have a cell. The w_c are parameters; they train with the
    network and are discarded after training.

    Only the cells of one group compete: there is one classifier for each group, as in CosPlace.
    CosPlace trains the groups one after the other; here a batch may hold images of all groups.

    Source:
        Wang et al., CosFace, CVPR 2018, equation 4 (large margin cosine loss).
        Berton et al., CosPlace, CVPR 2022.

    Args:
        dim: D, width of the descriptors.
        groups: (C,) int64, the group of each cell.
        scale: 30 in CosPlace.
        margin: 0.4 in CosPlace.

    Raises:
        NetvladError: no group has two cells.
    """

    groups: torch.Tensor

    def __init__(
        self, dim: int, groups: NDArray[np.int64], scale: float = 30.0, margin: float = 0.4
    ) -> None:
        super().__init__()
        if np.bincount(groups, minlength=1).max() < 2:
            raise NetvladError(
                'the classification loss needs two spatial cells in a group at least, the data has '
                f'{len(groups)} in {len(np.unique(groups))} groups: give images with positions or '
                'place labels, lower cell_groups, or choose another loss'
            )
        self.scale = scale
        self.margin = margin
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(len(groups), dim)))
        self.register_buffer('groups', torch.from_numpy(groups), persistent=False)

    def _value(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        labels = torch.from_numpy(batch.labels).to(descriptors.device)
        known = labels >= 0
        if not known.any():
            return descriptors.sum() * 0.0
        labels = labels[known]
        cosines = functional.linear(descriptors[known], functional.normalize(self.weight, dim=1))
        margins = self.margin * functional.one_hot(labels, len(self.weight)).to(cosines)
        other_group = self.groups != self.groups[labels, None]
        scores = (self.scale * (cosines - margins)).masked_fill(other_group, -torch.inf)
        return functional.cross_entropy(scores, labels)
