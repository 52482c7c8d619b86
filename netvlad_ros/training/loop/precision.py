"""Precision of the passes through the network; weights and losses stay float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from netvlad_ros.core.errors import NetvladError


class Precision:
    """Automatic mixed precision on one device.

    Args:
        amp: 'none', 'bfloat16', or 'float16' with scaled gradients (CUDA only).
        device: of the network.

    Raises:
        NetvladError: float16 on the CPU.
    """

    def __init__(self, amp: str, device: torch.device) -> None:
        if amp == 'float16' and device.type != 'cuda':
            raise NetvladError(
                f'loop.amp float16 needs a CUDA device, not {device.type}: choose bfloat16 or off'
            )
        self._device = device
        self._dtype = None if amp == 'none' else getattr(torch, amp)
        self._scaler = torch.amp.GradScaler(device.type, enabled=amp == 'float16')

    def autocast(self) -> torch.autocast:
        """The context of a pass through the network."""
        return torch.autocast(
            self._device.type, self._dtype or torch.bfloat16, enabled=self._dtype is not None
        )

    def scale(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss, scaled so that its gradients do not vanish in float16."""
        return self._scaler.scale(loss)

    def step(self, optimizer: torch.optim.Optimizer, gradients: Sequence[torch.Tensor]) -> bool:
        """Makes a step of the optimizer; no step and False if gradients are not finite.

        If scaled gradients overflow, the step is skipped and the scale is lowered.
        """
        if self._scaler.is_enabled():
            self._scaler.step(optimizer)
            self._scaler.update()
            return True
        if not torch.isfinite(torch.nn.utils.get_total_norm(gradients)):
            return False
        optimizer.step()
        return True

    def state(self) -> dict[str, Any]:
        """For JSON: what a resumed run needs."""
        return self._scaler.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from state()."""
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(state)
