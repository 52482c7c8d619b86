"""EdgePoint2: a small network of local features."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.network.backbones.local_backbone import (
    ConvLayer,
    LocalBackbone,
    enlarged,
)

# Size -> channels at strides 2, 4 (twice: input and output of block2), 16, of the descriptors, of
# the score branch. Tensor names and widths are those of the published weights.
_WIDTHS = {
    'edgepoint2_e64': (16, 16, 48, 64, 64, 16),
    'edgepoint2_t48': (8, 8, 16, 24, 48, 8),
}
_GROUP = 16  # channels of one group in the descriptor head


class EdgePoint2(LocalBackbone):
    """Descriptors at stride 4, logits of keypoints at stride 1.

    Args:
        name: 'edgepoint2_e64' or 'edgepoint2_t48'.
        layer: 'dense', 'dense8' or ''.

    Source:
        Yao et al., "EdgePoint2: compact descriptors for superior efficiency and accuracy", 2025.
    """

    def __init__(self, name: str, layer: str = '') -> None:
        super().__init__(name, layer)
        c1, c2, c3, c4, dim, score = _WIDTHS[name]
        whole = c2 + c3 + c4
        self._split = [c2, c3, c4]
        self.block1 = nn.Sequential(
            ConvLayer(1, c1, 4, 2, padding=1), ConvLayer(c1, c2), _Residual(c2, c2)
        )
        self.block2 = _Residual(c2, c3)
        self.block3 = _Residual(c3, c4)
        # The score branch comes first: trainable_layers counts from the descriptors back.
        self.conv1 = nn.Conv2d(c2, score, 1)
        self.conv2 = nn.Conv2d(c3, score, 1)
        self.conv3 = nn.Conv2d(c4, score, 1)
        self.score_head = nn.Sequential(
            nn.Conv2d(score, score, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(score, score, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(score, 4, 3, padding=1),
            nn.PixelShuffle(2),
        )
        self.desc_head = nn.Sequential(
            nn.Conv2d(whole, whole, 1),
            ConvLayer(whole, whole, groups=whole // _GROUP),
            nn.Conv2d(whole, dim, 1),
        )
        self.randomise()
        self.eval()

    def _grids(self, grey: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """At strides 2, 4 (twice) and 16."""
        fine = self.block1(grey)
        pooled = functional.avg_pool2d(fine, 2)
        middle = self.block2(functional.avg_pool2d(pooled, 2))
        coarse = self.block3(functional.avg_pool2d(middle, 4))
        return fine, pooled, middle, coarse

    def _dense(self, grids: tuple[torch.Tensor, ...]) -> torch.Tensor:
        _, pooled, middle, coarse = grids
        first = self.desc_head[0]
        assert isinstance(first, nn.Conv2d)
        # The 1x1 convolution over the three grids side by side is the sum of one over each. So the
        # coarse grids pass it before they are enlarged, on a quarter of the points and fewer.
        fine_part, middle_part, coarse_part = first.weight.split(self._split, dim=1)
        x = enlarged(functional.conv2d(middle, middle_part), 2)
        x = x + enlarged(functional.conv2d(coarse, coarse_part), 8)
        # Last, so that onnxruntime adds inside the convolution.
        x = x + functional.conv2d(pooled, fine_part, first.bias)
        found: torch.Tensor = self.desc_head[1:](x)
        return found

    def _logits(
        self, grey: torch.Tensor, grids: tuple[torch.Tensor, ...], dense: torch.Tensor
    ) -> torch.Tensor:
        fine, _, middle, coarse = grids
        x = self.conv1(fine) + enlarged(self.conv2(middle), 4) + enlarged(self.conv3(coarse), 16)
        found: torch.Tensor = self.score_head(x)
        return found


class _Residual(nn.Module):
    """Two convolutions with batch norm, beside a skip connection."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        same = channels_in == channels
        self.skip = nn.Identity() if same else nn.Conv2d(channels_in, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.layer(x) + self.skip(x))
