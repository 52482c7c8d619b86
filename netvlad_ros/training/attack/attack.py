"""Targeted mismatch: an image that looks as it did and is described as another place.

Tolias, Radenovic and Chum, "Targeted Mismatch Adversarial Attack: Query with a Flower to Retrieve
the Tower", ICCV 2019: the loss on the global descriptor, at several sizes of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import check_rgb
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.progress import Progress, no_progress
from netvlad_ros.training.network.network import PlaceNetwork


@dataclass(frozen=True)
class AttackConfig:
    """How an image is perturbed.

    steps: updates of the pixels. rate: step of Adam, in pixel values 0..255. fidelity: weight of
    the mean squared change (of pixels in 0..1) against 1 - cosine; 0 = only the bound holds the
    image. max_change: bound of every pixel's change, in pixel values; None = no bound. sizes: the
    loss is the mean over these, as factors of the network's working size.

    Raises:
        NetvladError: a value out of range.
    """

    steps: int = 100
    rate: float = 0.5
    fidelity: float = 1000.0
    max_change: int | None = None
    sizes: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        problem = None
        if not 1 <= self.steps <= 100_000:
            problem = f'{self.steps} steps are outside 1..100000'
        elif not 0.0 < self.rate <= 255.0:
            problem = f'a rate of {self.rate:g} is outside 0..255'
        elif not 0.0 <= self.fidelity <= 1e9:
            problem = f'a fidelity of {self.fidelity:g} is outside 0..1e9'
        elif self.max_change is not None and not 1 <= self.max_change <= 255:
            problem = f'a largest change of {self.max_change} is outside 1..255'
        elif not 1 <= len(self.sizes) <= 8 or not all(0.25 <= size <= 2.0 for size in self.sizes):
            problem = 'sizes must be one to eight factors in 0.25..2'
        if problem:
            raise NetvladError(f'attack: {problem}')


def attack_image(
    network: PlaceNetwork,
    carrier: NDArray[np.uint8],
    target: NDArray[np.float32],
    config: AttackConfig,
    progress: Progress = no_progress,
) -> NDArray[np.uint8]:
    """Perturbs an image until it is described as the target, as far as its bounds allow.

    Adam on the pixels at the carrier's own size, clipped to 0..255 and to the largest change after
    every step; the network sees them resized as the robot's preprocessing does. The last state is
    rounded to bytes, as a file or a camera would hold it. Nothing is drawn at random.

    Args:
        network: in evaluation mode; left as it is.
        carrier: uint8 (H, W, 3) RGB.
        target: float32 (dim,), the unit descriptor to be taken for.
        config: how long and how far.
        progress: is told (steps done, steps in all).

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        NetvladError: carrier is no such image, target not of this network, or the network's answer
            is not finite.
    """
    check_rgb(carrier)
    if target.shape != (network.dim,):
        raise NetvladError(f'attack: the target has {target.shape}, the network {network.dim}')
    device = next(network.parameters()).device
    views = [_resizing(network, carrier.shape, size, device) for size in config.sizes]
    wanted = torch.from_numpy(np.ascontiguousarray(target, np.float32)).to(device)
    start = torch.from_numpy(carrier.astype(np.float32)).to(device)
    reach = 255.0 if config.max_change is None else float(config.max_change)
    low, high = (start - reach).clamp_min(0.0), (start + reach).clamp_max(255.0)
    pixels = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([pixels], lr=config.rate)
    for step in range(config.steps):
        progress(step, config.steps)
        # A descriptor at each size, against the target; then how far the image has moved.
        mismatch = torch.stack(
            [1.0 - _described(network, pixels, *view) @ wanted for view in views]
        ).mean()
        moved = ((pixels - start) / 255.0).square().mean()
        loss = mismatch + config.fidelity * moved
        if not torch.isfinite(loss):
            raise NetvladError('attack: the network answers a descriptor that is not finite')
        (pixels.grad,) = torch.autograd.grad(loss, pixels)  # the weights get none
        optimizer.step()
        with torch.no_grad():
            pixels.copy_(pixels.clamp(low, high))
    progress(config.steps, config.steps)
    return np.asarray(pixels.detach().round().to(torch.uint8).cpu().numpy())


def _described(
    network: PlaceNetwork, pixels: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
) -> torch.Tensor:
    """float32 (H, W, 3), resized by (h, H) and (w, W) -> (dim,), as the network does."""
    image = torch.einsum('hr,rsc,ws->hwc', rows, pixels, columns)
    local = network.local_descriptors(image[None])
    # Pooling hands back a gradient that lies channels-last in memory, of features that lie
    # channels-first (as the resized pixels do; images of training lie channels-last throughout).
    # Of one image, torch 2.13 on a CPU reads the one as the other in batch norm.
    local.register_hook(torch.Tensor.contiguous)
    return network.whitening(network.pooling(local))[0]


def _resizing(
    network: PlaceNetwork, shape: tuple[int, ...], size: float, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices (h, H) and (w, W) that resize an image (H, W, 3) as Preprocessing does.

    Area and bilinear resizing are linear and work on rows and columns apart, so they follow from
    how one pixel a row is resized. (Where one side grows while the other shrinks OpenCV does
    something between; there they are close, and the judgement takes the real thing.)
    """
    preprocessing = network.preprocessing
    step = network.backbone.stride
    sides = [
        side if size == 1.0 else max(round(side * size / step), 1) * step
        for side in preprocessing.working_size(*shape[:2])
    ]
    shrinks = sides[0] * sides[1] < shape[0] * shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    rows, columns = (
        torch.from_numpy(cv2.resize(np.eye(old, dtype=np.float32), (old, new), None, 0, 0, method))
        for old, new in zip(shape[:2], sides, strict=True)
    )
    return rows.to(device), columns.to(device)
