"""Augmentation: changes viewpoint, season, light, focus and noise of images at random."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.training.config.sections import AugmentationConfig
from netvlad_ros.training.data.fourier_transfer import fourier_transfer
from netvlad_ros.training.data.night import night
from netvlad_ros.training.data.season import season
from netvlad_ros.training.torchvision_import import torchvision

v2 = torchvision.transforms.v2

BLUR_SIGMA_PX = 0.3, 1.5
OCCLUDED_SHARE = (0.02, 0.12)  # of the image's area
GREY = 127


class Augmentation:
    """A warp, another season, light, focus, colour, noise and occlusion, drawn for each image.

    Homography, crop, stretch and roll are composed and resampled once. Query, positive and
    negatives must all be augmented. If only some of them were, the network could learn to tell
    them apart by the traces of the augmentation.

    Args:
        config: the strengths.
        preprocessing: gives the size of the result.
    """

    def __init__(self, config: AugmentationConfig, preprocessing: Preprocessing) -> None:
        self.config = config
        self._preprocessing = preprocessing
        s = config.strength

        def share(value: float) -> float:
            return min(s * value, 1.0)

        def part(value: float) -> float:
            return min(s * value, 0.95)

        self._part = part
        self._blur_share = share(config.blur_share)
        self._fourier_share = share(config.fourier_share)
        self._season_share = share(config.season_share)
        self._night_share = share(config.night_share)
        jitter = v2.ColorJitter(
            part(config.brightness), part(config.contrast), part(config.saturation)
        )
        self._colour = v2.Compose(
            [
                jitter,
                v2.RandomGrayscale(p=share(config.grayscale_share)),
                v2.RandomApply([_SensorNoise(s * config.noise)], p=share(config.noise_share)),
                v2.RandomErasing(share(config.occlusion_share), scale=OCCLUDED_SHARE, value=GREY),
            ]
        )

    def __call__(
        self, rgb: NDArray[np.uint8], stranger: Callable[[], NDArray[np.uint8]] | None = None
    ) -> torch.Tensor:
        """uint8 (h, w, 3) RGB -> uint8 (height, width, 3); draws from torch's global generator.

        Images of other sizes are preprocessed first.

        Args:
            rgb: the image.
            stranger: reads an image of another domain, for fourier_share; None: there is none.

        Raises:
            NetvladError: rgb is no such image.
        """
        image = self._preprocessing(rgb)
        if self.config.strength == 0.0:
            return torch.from_numpy(image)
        image = self._focus(self._light(self._other_day(self._warp(image), stranger)))
        pixels = torch.from_numpy(image).permute(2, 0, 1).contiguous()
        return self._colour(pixels).permute(1, 2, 0)

    def _warp(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Another viewpoint: a quadrilateral of the image is mapped to the whole frame."""
        config, part = self.config, self._part
        height, width = image.shape[:2]
        area, ratio, x, y, roll, *corners = _uniform(13)
        kept = np.sqrt(1.0 - part(config.crop) * (area + 1.0) / 2.0)
        stretch = (1.0 + part(config.stretch)) ** (ratio / 2.0)
        half = np.minimum(kept * np.array([stretch, 1.0 / stretch]), 1.0) / 2.0
        centre = 0.5 + np.array([x, y]) * (0.5 - half)
        angle = np.radians(roll * config.strength * config.rotation_deg)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        frame = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        shifts = part(config.perspective) * np.array(corners).reshape(4, 2) * half
        size = np.array([width, height])
        quad = centre * size + (frame * half * size) @ turn.T + shifts * size
        whole = (frame + 1.0) / 2.0 * size
        matrix = cv2.getPerspectiveTransform(
            (quad - 0.5).astype(np.float32), (whole - 0.5).astype(np.float32)
        )
        # Mirrored borders: a real revisit has no black corners.
        warped = cv2.warpPerspective(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        return np.asarray(warped, dtype=np.uint8)

    def _other_day(
        self, image: NDArray[np.uint8], stranger: Callable[[], NDArray[np.uint8]] | None
    ) -> NDArray[np.uint8]:
        """Another season or the night. A share of 0 draws nothing, so that old runs repeat."""
        if stranger is not None and _happens(self._fourier_share):
            beta, mix = self._part(self.config.fourier_beta), torch.rand(()).item()
            image = fourier_transfer(image, self._preprocessing(stranger()), beta, mix)
        if _happens(self._season_share):
            image = season(image)
        return night(image) if _happens(self._night_share) else image

    def _light(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Another time of day: response of the camera, colour and direction of the light."""
        config, part = self.config, self._part
        bend, warm, turn, from_x, from_y = _uniform(5)
        response = (np.arange(256) / 255.0) ** (2.0 ** (config.strength * config.gamma * bend))
        gains = 1.0 + part(config.warmth) * warm * np.array([1.0, 0.0, -1.0])
        table = np.clip(255.0 * response[:, None] * gains, 0.0, 255.0).round().astype(np.uint8)
        lit = cv2.LUT(image, table[:, None])
        lit = cv2.transform(lit, _hue_matrix(2.0 * np.pi * config.strength * config.hue * turn))
        height, width = image.shape[:2]
        fall = part(config.gradient) / 2.0
        down = fall * from_y * np.linspace(-1.0, 1.0, height, dtype=np.float32)
        along = 1.0 + fall * from_x * np.linspace(-1.0, 1.0, width, dtype=np.float32)
        field = cv2.merge([np.add.outer(down, along).astype(np.float32)] * 3)
        return np.asarray(cv2.multiply(lit, field, dtype=cv2.CV_8U), dtype=np.uint8)

    def _focus(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        chance, width = torch.rand(2).tolist()
        if chance >= self._blur_share:
            return image
        narrow, wide = BLUR_SIGMA_PX
        # OpenCV's blur takes 0.25 ms, torchvision's up to 15 ms.
        blurred = cv2.GaussianBlur(image, (0, 0), narrow + (wide - narrow) * width)
        return np.asarray(blurred, dtype=np.uint8)


class _SensorNoise(torch.nn.Module):
    """Gaussian noise of a random strength on uint8 images (3, h, w)."""

    def __init__(self, largest: float) -> None:
        super().__init__()
        self._largest = largest

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        sigma = self._largest * torch.rand(()).item()
        noisy = torch.randn(image.shape).mul_(sigma).add_(image)
        return noisy.round_().clamp_(0, 255).to(torch.uint8)


def _hue_matrix(angle: float) -> NDArray[np.float64]:
    """Rotation of colours about the grey axis by an angle [rad]; (3, 3), RGB to RGB."""
    axis = np.full(3, 1.0 / np.sqrt(3.0))
    return np.asarray(Rotation.from_rotvec(angle * axis).as_matrix(), dtype=np.float64)


def _happens(share: float) -> bool:
    return share > 0.0 and torch.rand(()).item() < share


def _uniform(count: int) -> list[float]:
    """Numbers between -1 and 1 from torch's global generator."""
    return (2.0 * torch.rand(count, dtype=torch.float64) - 1.0).tolist()
