"""Descriptors of many images by the network as it stands: for mining and validation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.image import read_image
from netvlad_ros.training.distributed import Processes
from netvlad_ros.training.images import Progress, no_progress
from netvlad_ros.training.network import PlaceNetwork
from netvlad_ros.training.rank_session import RankSession

EXPORT_FROM = 200  # images; exporting to onnxruntime takes as long as some hundred of them save
GPU_BATCH = 32
READERS = 8  # threads that decode for a GPU

Item = TypeVar('Item')
Result = TypeVar('Result')


class Describer:
    """What the loss compares (network.rank), for any number of images, in bounded memory.

    On the CPU many images go through onnxruntime, one image on each thread: the fastest way that
    was measured, and one whose numbers depend neither on the threads nor on the neighbours in a
    batch. Elsewhere torch describes batches, and threads decode ahead. Processes share the work.

    Args:
        network: on the device of processes; read at each call.
        processes: of which each describes its share.
    """

    def __init__(self, network: PlaceNetwork, processes: Processes) -> None:
        self._network = network
        self._processes = processes
        self._session: RankSession | None = None

    def forget(self) -> None:
        """Call when the weights have changed."""
        self._session = None

    def __call__(self, images: Sequence[Path], progress: Progress = no_progress) -> np.ndarray:
        """Descriptors float32 (N, D), unit rows, in order; the same in every process.

        Raises:
            NetvladError: an image that cannot be read, by name, or a descriptor that is not finite.
        """
        share = self._processes.share(len(images))
        own = images[share]
        rows = np.empty((len(own), self._network.rank_dim), np.float32)
        done = 0
        self._network.eval()
        for part in self._parts(own, many=len(images) >= EXPORT_FROM):
            rows[done : done + len(part)] = part
            done += len(part)
            progress(share.start + done, len(images))
        self._network.train()
        found = self._processes.gather_rows(rows, len(images))
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if len(bad):
            raise NetvladError(
                f'the network answers {images[bad[0]]} with numbers that are not finite: training '
                'has diverged; the last checkpoint is kept, lower the learning rates'
            )
        return found

    def _parts(self, images: Sequence[Path], many: bool) -> Iterator[np.ndarray]:
        if self._processes.device.type != 'cpu':
            yield from self._on_gpu(images)
        elif many or self._session is not None:
            session = self._session = self._session or RankSession(self._network)
            threads = torch.get_num_threads()
            yield from _ahead(lambda path: session(self._read(path)), images, threads)
        else:
            for image in _ahead(self._read, images, 1):
                yield self._torch([image])

    def _on_gpu(self, images: Sequence[Path]) -> Iterator[np.ndarray]:
        batch: list[np.ndarray] = []
        for image in _ahead(self._read, images, READERS):
            if batch and (len(batch) == GPU_BATCH or image.shape != batch[0].shape):
                yield self._torch(batch)
                batch = []
            batch.append(image)
        if batch:
            yield self._torch(batch)

    def _read(self, path: Path) -> np.ndarray:
        return self._network.config.preprocessing(read_image(path))

    @torch.no_grad()
    def _torch(self, images: list[np.ndarray]) -> np.ndarray:
        pixels = torch.from_numpy(np.stack(images)).to(self._processes.device)
        return self._network.rank(pixels).float().cpu().numpy()


def _ahead(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Results in order, a few of them computed ahead."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 4 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
