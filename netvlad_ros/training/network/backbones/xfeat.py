"""XFeat: a network of local features."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.network.backbones.local_backbone import (
    ConvLayer,
    LocalBackbone,
    enlarged,
)

CELL = 8  # [px]; the keypoint head answers one logit for each pixel of a cell, and one for none
LEAST_RELIABILITY = 1e-6  # below, its logarithm would only measure rounding


class XFeat(LocalBackbone):
    """Descriptors, reliability and logits of keypoints at stride 8.

    Batch norm has no scale and bias of its own here. Tensor names are those of the published
    weights; their fine matcher is not used.

    Args:
        name: 'xfeat'.
        layer: 'dense' or ''.

    Source:
        Potje et al., "XFeat: accelerated features for lightweight image matching", CVPR 2024.
    """

    def __init__(self, name: str = 'xfeat', layer: str = '') -> None:
        super().__init__(name, layer)
        self.skip1 = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(1, 24, 1))
        self.block1 = nn.Sequential(_layer(1, 4), _layer(4, 8, 2), _layer(8, 8), _layer(8, 24, 2))
        self.block2 = nn.Sequential(_layer(24, 24), _layer(24, 24))
        self.block3 = nn.Sequential(_layer(24, 64, 2), _layer(64, 64), _point(64, 64))
        self.block4 = nn.Sequential(_layer(64, 64, 2), _layer(64, 64), _layer(64, 64))
        self.block5 = nn.Sequential(
            _layer(64, 128, 2), _layer(128, 128), _layer(128, 128), _point(128, 64)
        )
        # The score heads come first: trainable_layers counts from the descriptors back.
        self.keypoint_head = nn.Sequential(
            _point(64, 64), _point(64, 64), _point(64, 64), nn.Conv2d(64, CELL**2 + 1, 1)
        )
        self.heatmap_head = nn.Sequential(
            _point(64, 64), _point(64, 64), nn.Conv2d(64, 1, 1), nn.Sigmoid()
        )
        self.block_fusion = nn.Sequential(_layer(64, 64), _layer(64, 64), nn.Conv2d(64, 64, 1))
        self.randomise()
        self.eval()

    def _grids(self, grey: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """At strides 8, 16 and 32."""
        fine = self.block3(self.block2(self.block1(grey) + self.skip1(grey)))
        middle = self.block4(fine)
        return fine, middle, self.block5(middle)

    def _dense(self, grids: tuple[torch.Tensor, ...]) -> torch.Tensor:
        fine, middle, coarse = grids
        found: torch.Tensor = self.block_fusion(fine + enlarged(middle, 2) + enlarged(coarse, 4))
        return found

    def _logits(
        self, grey: torch.Tensor, grids: tuple[torch.Tensor, ...], dense: torch.Tensor
    ) -> torch.Tensor:
        """Logarithm of the probability in the cell times the reliability."""
        first = self.keypoint_head[0]
        assert isinstance(first, ConvLayer)
        # The pixels of a cell side by side and a 1x1 convolution over them: together that is one
        # convolution by whole cells.
        kernel = first.layer.get_parameter('0.weight').reshape(-1, 1, CELL, CELL)
        cells = first.layer[1:](functional.conv2d(grey, kernel, stride=CELL))
        cells = self.keypoint_head[1:](cells)
        # log_softmax, by hand: onnxruntime turns the channels to the end for it.
        cells = cells - cells.amax(dim=1, keepdim=True)
        chances = cells[:, :-1] - cells.exp().sum(dim=1, keepdim=True).log()
        # Limited first: a blocked layout of eight channels would be enlarged for this single one.
        reliability = enlarged(self.heatmap_head(dense).clamp_min(LEAST_RELIABILITY), CELL)
        return functional.pixel_shuffle(chances, CELL) + reliability.log()


def _layer(channels_in: int, channels: int, stride: int = 1) -> ConvLayer:
    return ConvLayer(channels_in, channels, 3, stride, affine=False)


def _point(channels_in: int, channels: int) -> ConvLayer:
    return ConvLayer(channels_in, channels, 1, affine=False)
