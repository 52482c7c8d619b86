"""Other light, other viewpoint: what training does to an image to make its revisit harder."""

from __future__ import annotations

import numpy as np
import torch

from netvlad_ros.core.image import Preprocessing
from netvlad_ros.training.vision import torchvision

v2 = torchvision.transforms.v2


class Augmentation:
    """Homography, crop, colour, blur and occlusion, drawn anew for each image.

    It is applied to query, positive and negatives alike: were only some of them altered, the traces
    of altering would tell right from wrong. The crop comes after the homography and resizes to the
    working size, so its empty corners are mostly cut off.

    Args:
        preprocessing: whose working size the result has.
        strength: 0 leaves images alone, 1 is as strong as a revisit on another day.
    """

    def __init__(self, preprocessing: Preprocessing, strength: float) -> None:
        self.strength = strength
        height, width = preprocessing.height, preprocessing.width
        self._transform = v2.Compose(
            [
                v2.RandomPerspective(distortion_scale=0.3 * strength, p=0.7),
                v2.RandomResizedCrop(
                    (height, width), scale=(1.0 - 0.45 * strength, 1.0), ratio=(1.15, 1.6)
                ),
                v2.ColorJitter(0.4 * strength, 0.4 * strength, 0.3 * strength, 0.03 * strength),
                v2.RandomGrayscale(p=0.1 * strength),
                v2.RandomApply([v2.GaussianBlur(5, sigma=(0.1, 1.5))], p=0.3 * strength),
                v2.RandomErasing(p=0.3 * strength, scale=(0.02, 0.12), value=127),
            ]
        )

    def __call__(self, rgb: np.ndarray) -> torch.Tensor:
        """uint8 (h, w, 3) RGB -> uint8 (height, width, 3); draws from torch's global generator."""
        image = torch.from_numpy(rgb)
        if self.strength == 0.0:
            return image
        return self._transform(image.permute(2, 0, 1)).permute(1, 2, 0)
