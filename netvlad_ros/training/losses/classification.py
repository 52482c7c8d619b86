"""Places as classes: CosFace over spatial cells (CosPlace; Berton et al., CVPR 2022)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.batch import TrainingBatch
from netvlad_ros.training.losses.base import Loss


class ClassificationLoss(Loss):
    """Cross entropy of scale * (cos(d, w_c) - margin [c is d's cell]) over all cells c.

    The large margin cosine loss of CosFace (Wang et al., CVPR 2018, equation 4), its mean over the
    images that have a cell. The w_c are parameters, to be trained along and then thrown away.

    Args:
        dim: D. classes: number of cells. scale, margin: 30 and 0.4 in CosPlace.

    Raises:
        NetvladError: fewer than two cells.
    """

    def __init__(self, dim: int, classes: int, scale: float = 30.0, margin: float = 0.4) -> None:
        super().__init__()
        if classes < 2:
            raise NetvladError(
                f'the classification loss needs two spatial cells at least, the data has {classes}:'
                ' give images with positions or place labels, or choose another loss'
            )
        self.scale = scale
        self.margin = margin
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(classes, dim)))

    def _value(self, descriptors: torch.Tensor, batch: TrainingBatch) -> torch.Tensor:
        labels = torch.from_numpy(batch.labels).to(descriptors.device)
        known = labels >= 0
        if not known.any():
            return descriptors.sum() * 0.0
        labels = labels[known]
        cosines = functional.linear(descriptors[known], functional.normalize(self.weight, dim=1))
        margins = self.margin * functional.one_hot(labels, len(self.weight)).to(cosines)
        return functional.cross_entropy(self.scale * (cosines - margins), labels)
