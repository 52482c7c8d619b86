"""SharedDescriber: all processes of a run describe images together, and all get the result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.loop.distributed import Processes
from netvlad_ros.training.network.describer import Describer
from netvlad_ros.training.network.network import PlaceNetwork


class SharedDescriber:
    """The descriptors that the loss compares, for mining and validation.

    Each process describes its share of the images.

    Args:
        network: on the device of the processes; its weights are read at each call; it is left in
            training mode.
        processes: of the run.
    """

    def __init__(self, network: PlaceNetwork, processes: Processes) -> None:
        self._network = network
        self._processes = processes
        self._describer = Describer(network)

    def forget(self) -> None:
        """Must be called when the weights have changed."""
        self._describer.forget()

    def __call__(self, images: Sequence[Path]) -> np.ndarray:
        """Unit rows float32 (N, D), in order; the same in every process.

        Raises:
            NetvladError: an image that cannot be read, by name, or a descriptor that is not finite.
        """
        own = images[self._processes.share(len(images))]
        rows = self._describer(own, expected=len(images))
        self._network.train()
        found = self._processes.gather_rows(rows, len(images))
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if len(bad):
            raise NetvladError(
                f'the network answers {images[bad[0]]} with numbers that are not finite: training '
                'has diverged; the last checkpoint is kept, lower the learning rates'
            )
        return found
