"""Normalisation of pixels, as the weights of a backbone need it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# Per channel (R, G, B), in pixel values 0..255: mean, deviation.
_IMAGENET = ((0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255))
_KINDS = {
    'imagenet': _IMAGENET,
    'symmetric': ((127.5,) * 3, (127.5,) * 3),
    'caffe': ((123.68, 116.779, 103.939), (1.0,) * 3),
}


class Normalisation(nn.Module):
    """(pixel - mean) / deviation, per channel.

    Args:
        kind: 'imagenet' (torchvision's mean and deviation), 'symmetric' (to -1..1), or 'caffe' (the
            mean of ImageNet subtracted in 0..255, as the VGG authors did).

    Attributes:
        mean: float32 (3,), RGB, in 0..255; saved with the weights, which depend on it.
        deviation: float32 (3,), likewise.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, kind: str) -> None:
        super().__init__()
        mean, deviation = _KINDS[kind]
        self.register_buffer('mean', torch.tensor(mean))
        self.register_buffer('deviation', torch.tensor(deviation))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> float32 (N, 3, H, W)."""
        planes = images.permute(0, 3, 1, 2).to(torch.float32)  # permuted while a pixel is one byte
        return (planes - self.mean[:, None, None]) / self.deviation[:, None, None]


class GreyNormalisation(nn.Module):
    """The mean of R, G and B, standardised over the image, as networks of local features take it.

    An image of one colour becomes zero.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) RGB -> float32 (N, 1, H, W) of mean 0 and deviation 1."""
        planes = images.permute(0, 3, 1, 2).to(torch.float32)
        # Two additions: the mean over an axis of three takes three times as long in onnxruntime.
        grey = (planes[:, :1] + planes[:, 1:2] + planes[:, 2:]) * (1.0 / 765.0)
        return functional.instance_norm(grey, eps=1e-5)


def make_normalisation(kind: str) -> Normalisation | GreyNormalisation:
    """The normalisation of that kind: imagenet, symmetric, caffe or grey."""
    return GreyNormalisation() if kind == 'grey' else Normalisation(kind)
