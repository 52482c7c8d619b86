"""LocalHead: from the maps of a network of local features to keypoints."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from netvlad_ros.training.network.backbones.local_backbone import LocalMaps

RADIUS = 2  # a position is the mean over 5x5 pixels
BORDER = 4  # [px] at each edge without keypoints; windows lie inside the image
# Entry `local` of the metadata -> output of the graph, in the order that LocalHead answers.
LOCAL_OUTPUTS = {
    'keypoints': 'keypoints',
    'scores': 'scores',
    'descriptors': 'local_descriptors',
}
NONE = -1e4  # logit of a pixel that is no keypoint; real logits lie far above


class LocalHead(nn.Module):
    """The strongest maxima of the logits, refined to sub-pixels, with their descriptors.

    A maximum is the largest logit of the blocks of 2x2 pixels that touch its own. A position is the
    mean of the 5x5 pixels around the maximum, weighted by exp(logit). It holds only operators that
    onnxruntime has since opset 17, and one pixel-sized operator, a pooling.

    Args:
        keypoints: K, number of rows that every image gets.
    """

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        self.keypoints = keypoints

    def forward(self, maps: LocalMaps) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Picks keypoints.

        Args:
            maps: of N images of H x W pixels; sides are even.

        Returns:
            keypoints: float32 (N, K, 2), x and y [px]; centres of pixels at whole numbers.
            scores: float32 (N, K) in 0..1, falling.
            descriptors: float32 (N, K, D), unit rows. Rows of zeros, also in the other two, fill up
                where an image has fewer keypoints.
        """
        descriptors, logits = (found.float() for found in maps)
        high, wide = logits.shape[2], logits.shape[3]
        pixels = logits.flatten(1)
        values, corner = self._strongest(logits)
        real = (values > 0.5 * NONE).to(torch.float32)
        # Which pixel of the 2 x 2 block is the maximum.
        across = torch.tensor([0, 1, 0, 1], device=logits.device)
        down = torch.tensor([0, 0, 1, 1], device=logits.device)
        best = _gathered(pixels, corner[..., None] + across + down * wide).argmax(dim=2)
        centre = corner + across[best] + down[best] * wide
        # The mean of the window.
        offsets = torch.arange(-RADIUS, RADIUS + 1, device=logits.device)
        dx, dy = offsets.repeat(len(offsets)), offsets.repeat_interleave(len(offsets))
        weights = _gathered(pixels, centre[..., None] + dx + dy * wide).softmax(dim=2)
        shifts = torch.matmul(weights, torch.stack([dx, dy], dim=1).to(torch.float32))
        row = torch.div(centre, wide, rounding_mode='floor')
        positions = torch.stack([centre - row * wide, row], dim=2).to(torch.float32) + shifts
        # Descriptors between the points of their grid.
        x = (positions[..., :1] + 0.5) * 2.0 / wide - 1.0
        y = (positions[..., 1:] + 0.5) * 2.0 / high - 1.0
        grid = torch.cat([x, y], dim=2)[:, None]
        sampled = functional.grid_sample(descriptors, grid, align_corners=False)
        rows = functional.normalize(sampled.squeeze(2).transpose(1, 2), dim=2)
        return positions * real[..., None], values.sigmoid() * real, rows * real[..., None]

    def _strongest(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, K) of the strongest maxima, and the top left pixel of their 2 x 2 block.

        Blocks are compared, not pixels: a quarter of the values, and a quarter of them is sorted.
        """
        wide = logits.shape[3]
        blocks = functional.max_pool2d(logits, 2)
        largest = functional.max_pool2d(blocks, 3, 1, 1)
        maxima = torch.where(blocks == largest, blocks, torch.full_like(blocks, NONE))
        margin = BORDER // 2
        blocks = maxima[:, :, margin:-margin, margin:-margin]
        columns = blocks.shape[3]
        # Filled up: the number of keypoints is fixed, that of the blocks is not.
        filled = functional.pad(blocks.flatten(1), (0, self.keypoints), value=NONE)
        values, index = filled.topk(self.keypoints, dim=1)
        index = index * (values > 0.5 * NONE)
        row = torch.div(index, columns, rounding_mode='floor')
        column = index - row * columns
        return values, (2 * row + BORDER) * wide + 2 * column + BORDER


def _gathered(pixels: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The values of pixels (N, P) at index (N, K, M)."""
    return pixels.gather(1, index.flatten(1)).reshape(index.shape)
