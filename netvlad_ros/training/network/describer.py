"""Describer: descriptors of many images with the present weights of a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.offline.progress import Progress, no_progress
from netvlad_ros.training.network.graph_session import GraphSession
from netvlad_ros.training.network.image_view import ImageView
from netvlad_ros.training.network.network import PlaceNetwork

EXPORT_FROM = 200  # images; onnxruntime saves less time on fewer than its export takes
GPU_BATCH = 32
READERS = 8  # threads that decode for a GPU

Item = TypeVar('Item')
Result = TypeVar('Result')


class Describer:
    """Applies one method of the network to any number of images, in bounded memory.

    On the CPU many images go through onnxruntime, one image on each thread. This was the fastest
    way that was measured. Its numbers depend neither on the threads nor on the other images. On a
    GPU torch describes batches, and threads decode ahead.

    Used for mining, validation and whitening.

    Args:
        network: its weights are read at each call; it is left in evaluation mode.
        method: 'rank', the descriptors that the loss compares, or 'pool', those before whitening.

    Attributes:
        dim: width of the descriptors.
    """

    def __init__(self, network: PlaceNetwork, method: str = 'rank') -> None:
        self._network = network
        self._method = method
        self._session: GraphSession | None = None
        self.dim = network.rank_dim if method == 'rank' else network.pooled_dim

    def forget(self) -> None:
        """Must be called when the weights have changed."""
        self._session = None

    def __call__(
        self,
        images: Sequence[Path | ImageView],
        progress: Progress = no_progress,
        *,
        expected: int | None = None,
    ) -> np.ndarray:
        """Unit rows float32 (N, dim), in order.

        Args:
            images: N paths, or views of images.
            progress: called with (images done, N).
            expected: number of all images, if these are a share of them. It decides between torch
                and onnxruntime.

        Raises:
            NetvladError: an image that cannot be read, by name.
        """
        rows = np.empty((len(images), self.dim), np.float32)
        done = 0
        self._network.eval()
        many = (len(images) if expected is None else expected) >= EXPORT_FROM
        for part in self._parts(images, many):
            rows[done : done + len(part)] = part
            done += len(part)
            progress(done, len(images))
        return rows

    def _parts(self, images: Sequence[Path | ImageView], many: bool) -> Iterator[np.ndarray]:
        if next(self._network.parameters()).device.type != 'cpu':
            yield from self._on_gpu(images)
        elif many or self._session is not None:
            session = self._session = self._session or GraphSession(self._network, self._method)
            threads = torch.get_num_threads()
            yield from _ahead(lambda image: session(self._read(image)), images, threads)
        else:
            for image in _ahead(self._read, images, 1):
                yield self._torch([image])

    def _on_gpu(self, images: Sequence[Path | ImageView]) -> Iterator[np.ndarray]:
        batch: list[np.ndarray] = []
        for image in _ahead(self._read, images, READERS):
            if batch and (len(batch) == GPU_BATCH or image.shape != batch[0].shape):
                yield self._torch(batch)
                batch = []
            batch.append(image)
        if batch:
            yield self._torch(batch)

    def _read(self, image: Path | ImageView) -> np.ndarray:
        rgb = image.read() if isinstance(image, ImageView) else read_image(image)
        return self._network.preprocessing(rgb)

    @torch.no_grad()
    def _torch(self, images: list[np.ndarray]) -> np.ndarray:
        device = next(self._network.parameters()).device
        pixels = torch.from_numpy(np.stack(images)).to(device)
        found: torch.Tensor = getattr(self._network, self._method)(pixels)
        return found.float().cpu().numpy()


def pooled_descriptors(
    network: PlaceNetwork, images: Sequence[Path | ImageView], *, progress: Progress = no_progress
) -> np.ndarray:
    """Pooled descriptors before whitening, float32 (N, pooled_dim), unit rows."""
    return Describer(network, 'pool')(images, progress)


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
