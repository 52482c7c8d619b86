"""GraphSession: the present weights of a network in onnxruntime.

On a CPU onnxruntime describes twice as fast as torch.
"""

from __future__ import annotations

import copy

import numpy as np
import onnxruntime as ort
import torch
from torch import nn

from netvlad_ros.training.network.export import trace
from netvlad_ros.training.network.network import PlaceNetwork


class _Method(nn.Module):
    def __init__(self, network: PlaceNetwork, method: str) -> None:
        super().__init__()
        self.network = network
        self.method = method

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return getattr(self.network, self.method)(images)


class GraphSession:
    """One method of a network with its present weights; may be called from many threads.

    Args:
        network: on the CPU; is not changed.
        method: 'rank' or 'pool'.
    """

    def __init__(self, network: PlaceNetwork, method: str) -> None:
        graph = trace(_Method(copy.deepcopy(network), method).eval(), network.preprocessing)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1  # each caller is a thread
        providers = ['CPUExecutionProvider']
        self._session = ort.InferenceSession(graph.SerializeToString(), options, providers)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint8 (h, w, 3) RGB -> float32 (1, D), a unit row."""
        found: np.ndarray = self._session.run(['descriptor'], {'image': image[None]})[0]
        return found
