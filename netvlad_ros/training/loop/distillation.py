"""Distillation: holds the local features of a trained network near those of its start."""

from __future__ import annotations

import copy

import torch
from torch.nn import functional

from netvlad_ros.training.network.backbones.local_backbone import LocalMaps
from netvlad_ros.training.network.network import PlaceNetwork


class Distillation:
    """Distance between the maps of a backbone and those of a frozen copy of it.

    It is a sum over images, so each pass through the network is held on its own.

    Args:
        initial: network at the start of the training, with a network of local features. The
            weights of that are copied.
        weight: factor on the distance.
        device: of the copy.

    Source:
        Hinton et al., "Distilling the knowledge in a neural network", 2015; HF-Net (Sarlin et al.,
        CVPR 2019) distils local and global features into one network.
    """

    def __init__(self, initial: PlaceNetwork, weight: float, device: torch.device) -> None:
        self._normalisation = copy.deepcopy(initial.grey).to(device)
        self._backbone = copy.deepcopy(initial.local_trunk).to(device).requires_grad_(False)
        self._weight = weight

    def __call__(self, images: torch.Tensor, maps: LocalMaps) -> torch.Tensor:
        """The weighted distance, a scalar, summed over images.

        Args:
            images: uint8 (N, H, W, 3) RGB.
            maps: of the trained backbone for these images.
        """
        with torch.no_grad():
            held = self._backbone.maps(self._normalisation(images))
        cosine = functional.cosine_similarity(maps.descriptors.float(), held.descriptors.float())
        scores = _standardised(maps.logits) - _standardised(held.logits)
        distances = (1.0 - cosine).mean(dim=(1, 2)) + scores.square().mean(dim=1)
        return self._weight * distances.sum()


def _standardised(logits: torch.Tensor) -> torch.Tensor:
    """Logits (N, 1, H, W) as rows (N, P) of mean 0 and deviation 1."""
    rows = logits.float().flatten(1)
    centred = rows - rows.mean(dim=1, keepdim=True)
    return centred / centred.square().mean(dim=1, keepdim=True).clamp_min(1e-12).sqrt()
