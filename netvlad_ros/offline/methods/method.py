"""Method: the interface of a method of place recognition, with its input and output."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import check_rgb, read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.methods.extraction_cache import ExtractionCache

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


Box = tuple[float, float, float, float]


class ImageError(NetvladError):
    """An image of a set is unusable, so that no method can use the set."""


class ImageSet(Sequence[NDArray[np.uint8]]):
    """Database or query images of a benchmark.

    Images are read from disk at each access, which bounds memory.

    Attributes:
        paths: of the n images.
        order: int64 (n,), rows by time, for methods that match sequences.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        boxes: Sequence[Box | None] = (),
        order: NDArray[np.int64] | None = None,
    ) -> None:
        """Name the images.

        Args:
            paths: of the n images.
            boxes: per image the crop x0, y0, x1, y1 [px], None = the whole image; () = all whole.
            order: int64 (n,), rows by time; None = in order of time already.

        Raises:
            NetvladError: numbers of images, boxes and order differ.
        """
        self.paths = tuple(paths)
        self.order = np.arange(len(self.paths)) if order is None else order
        self._boxes = tuple(boxes) or (None,) * len(self.paths)
        if len(self._boxes) != len(self.paths) or len(self.order) != len(self.paths):
            raise NetvladError(
                f'{len(self.paths)} images come with {len(self._boxes)} boxes and an order of '
                f'{len(self.order)}'
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: Any) -> Any:
        """Image `row`, uint8 (H, W, 3) RGB.

        Raises:
            ImageError: the image or its box is unusable.
        """
        path, box = self.paths[row], self._boxes[row]
        try:
            rgb = read_image(path)
        except NetvladError as error:
            raise ImageError(
                f'{error}; get it again, or remove it: what is missing is counted and left out'
            ) from error
        if box is not None:
            height, width = rgb.shape[:2]
            x0, y0, x1, y1 = box
            if not np.isfinite(box).all() or x1 - x0 < 1 or y1 - y0 < 1:
                raise ImageError(f'image {path}: its box {box} encloses nothing')
            left, top = max(int(x0), 0), max(int(y0), 0)
            rgb = rgb[top : min(int(np.ceil(y1)), height), left : min(int(np.ceil(x1)), width)]
        try:
            check_rgb(rgb)
        except NetvladError as error:
            raise ImageError(f'image {path}: {error}') from error
        return np.ascontiguousarray(rgb)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Places ranked for each of Q queries, and what it cost.

    Attributes:
        indices: int64 (Q, k), rows of the database, best first, -1 = none.
        scores: float64 (Q, k), higher is better.
        bytes_per_place: size of a database image in the index, without codebooks and the like.
        seconds: 'fit' for all that is learned, 'describe_per_image' without reading the file, and
            'search_per_query'.
    """

    indices: NDArray[np.int64]
    scores: NDArray[np.float64]
    bytes_per_place: float
    seconds: dict[str, float]


class Method(Protocol):
    """Ranks the images of a database for queries."""

    @property
    def name(self) -> str:
        """Name under which it is registered."""

    @property
    def paper(self) -> str:
        """Authors, venue and year of the publication."""

    def rank(self, database: ImageSet, queries: ImageSet, k: int, progress: Progress) -> Ranking:
        """Learn if the method learns, index the database, and rank it for each query.

        Args:
            database: images to search in.
            queries: images to search for.
            k: how many places to rank.
            progress: called with the number of images done and the total.

        Raises:
            NetvladError: an image is unusable, or the method cannot be used on such a set.
        """


@dataclass(frozen=True)
class MethodContext:
    """What methods are constructed from.

    Attributes:
        model: bundle (.onnx) of the methods that run a network; None = the package's own.
        seed: of everything random.
        threads: of inference and search; 0 = one per core.
        training: images that vocabularies and the like are learned from; None = the database.
        cache: of extractions that several methods share.
    """

    model: Path | None = None
    seed: int = 0
    threads: int = 0
    training: tuple[Path, ...] | None = None
    cache: ExtractionCache = field(default_factory=ExtractionCache)

    @property
    def thread_count(self) -> int:
        """Number of threads; 0 stands for one per core that this process may use."""
        return self.threads or len(os.sched_getaffinity(0))


class Stopwatch:
    """Adds up the time spent in `with` blocks, in `seconds`."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = 0.0
        self._clock = clock
        self._started = 0.0

    def __enter__(self) -> Stopwatch:
        self._started = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += self._clock() - self._started


def ranked(
    similarities: Iterable[NDArray[Any]], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices and scores, (Q, k), of the k largest values of each row (N,) of similarities.

    Ties go to the lower row. If N < k, the rest is -1 and -inf.
    """
    rows, scores = [], []
    for similarity in similarities:
        best = np.argsort(-similarity, kind='stable')[:k]
        empty = k - len(best)
        rows.append(np.pad(best, (0, empty), constant_values=-1))
        scores.append(np.pad(similarity[best].astype(float), (0, empty), constant_values=-np.inf))
    return np.array(rows, np.int64).reshape(-1, k), np.array(scores).reshape(-1, k)


def spread(count: int, most: int) -> Iterator[int]:
    """At most `most` of the rows 0..count-1, evenly spread."""
    return iter(np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist())
