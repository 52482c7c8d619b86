"""attack_image: a targeted-mismatch attack, which changes an image to match another place.

Source: Tolias, Radenovic and Chum, "Targeted Mismatch Adversarial Attack: Query with a Flower to
Retrieve the Tower", ICCV 2019: the loss on the global descriptor, at several sizes of the image.
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

    Attributes:
        steps: number of updates of the pixels.
        rate: step of Adam, in pixel values 0..255.
        fidelity: weight of the mean squared change (of pixels in 0..1) against 1 - cosine; 0: only
            max_change limits the change.
        max_change: largest change of a pixel, in pixel values; None: no limit.
        sizes: image sizes over which the loss is averaged, as factors of the working size of the
            network.

    Raises:
        NetvladError: a value is out of range.
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
    """Perturbs an image so that its descriptor approaches the target, within the bounds.

    Adam changes the pixels at the carrier's own size. After every step they are clipped to 0..255
    and to the largest change. The network gets them resized as the robot's preprocessing does. The
    result is rounded to bytes, as a file or a camera stores it. Nothing is random.

    Args:
        network: in evaluation mode; is not changed.
        carrier: image to perturb, uint8 (H, W, 3) RGB.
        target: unit descriptor to approach, float32 (dim,).
        config: of the attack.
        progress: called with (steps done, steps in all).

    Returns:
        The perturbed image, uint8 (H, W, 3) RGB.

    Raises:
        NetvladError: carrier is no such image, target is not of this network, or a descriptor is
            not finite.
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
        # Mismatch of the descriptors at all sizes with the target, then the change of the image.
        mismatch = torch.stack(
            [1.0 - _described(network, pixels, *view) @ wanted for view in views]
        ).mean()
        moved = ((pixels - start) / 255.0).square().mean()
        loss = mismatch + config.fidelity * moved
        if not torch.isfinite(loss):
            raise NetvladError('attack: the network answers a descriptor that is not finite')
        (pixels.grad,) = torch.autograd.grad(loss, pixels)  # the weights get no gradient
        optimizer.step()
        with torch.no_grad():
            pixels.copy_(pixels.clamp(low, high))
    progress(config.steps, config.steps)
    return np.asarray(pixels.detach().round().to(torch.uint8).cpu().numpy())


def _described(
    network: PlaceNetwork, pixels: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
) -> torch.Tensor:
    """Descriptor (dim,) of pixels float32 (H, W, 3), resized by rows (h, H) and columns (w, W)."""
    image = torch.einsum('hr,rsc,ws->hwc', rows, pixels, columns)
    local = network.local_descriptors(image[None])
    # The gradient of the pooling is channels-last in memory. The features are channels-first, like
    # the resized pixels (images of training are always channels-last). For a single image, the
    # batch norm of torch 2.13 on a CPU confuses the two.
    local.register_hook(torch.Tensor.contiguous)
    return network.whitening(network.pooling(local))[0]


def _resizing(
    network: PlaceNetwork, shape: tuple[int, ...], size: float, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices (h, H) and (w, W) that resize an image (H, W, 3) as Preprocessing does.

    Area and bilinear resizing are linear, and separate for rows and columns. So resizing a unit
    matrix gives the matrix of each. If one side grows while the other shrinks, OpenCV uses another
    formula. The matrices are then close but not equal; the metrics use the real preprocessing.
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
