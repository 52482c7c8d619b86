"""What every method of place recognition is given, and what it answers."""

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
    """An image of a set is unusable: no method can do with the set."""


class ImageSet(Sequence[NDArray[np.uint8]]):
    """Images of one side of a benchmark, read anew each time, so that memory stays bounded.

    order: int64 (n,), rows by time, for methods that match sequences.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        boxes: Sequence[Box | None] = (),
        order: NDArray[np.int64] | None = None,
    ) -> None:
        """boxes: per image x0, y0, x1, y1 [px] of what counts, None or no boxes = all of it."""
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
        """Image row, uint8 (H, W, 3) RGB. Raises ImageError if it or its box is unusable."""
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
    """Places ranked for each of Q queries.

    indices: int64 (Q, k), rows of the database, best first, -1 = none. scores: float64 (Q, k),
    higher is better. bytes_per_place: what a database image costs in the index, codebooks and the
    like left out. seconds: 'fit' (all of what is learned), 'describe_per_image' (reading the file
    left out), 'search_per_query'.
    """

    indices: NDArray[np.int64]
    scores: NDArray[np.float64]
    bytes_per_place: float
    seconds: dict[str, float]


class Method(Protocol):
    """A way to rank the images of a database for a query; paper says who published it."""

    @property
    def name(self) -> str:
        """Under which it is registered."""

    @property
    def paper(self) -> str:
        """Authors, venue and year."""

    def rank(self, database: ImageSet, queries: ImageSet, k: int, progress: Progress) -> Ranking:
        """Fit where the method learns, index the database, and rank it for each query.

        Raises NetvladError if an image is unusable or the method cannot work on such a set.
        """


@dataclass(frozen=True)
class MethodContext:
    """What methods are made from.

    model: bundle (.onnx) of the methods that run a network, None = the package's own. threads: of
    inference and search, 0 = one per core. training: images that vocabularies and the like are
    learned from, None = the database. cache: of what several methods extract.
    """

    model: Path | None = None
    seed: int = 0
    threads: int = 0
    training: tuple[Path, ...] | None = None
    cache: ExtractionCache = field(default_factory=ExtractionCache)

    @property
    def thread_count(self) -> int:
        """How many threads that is: one per core that this process may use, where none are told."""
        return self.threads or len(os.sched_getaffinity(0))


class Stopwatch:
    """Adds up the time of stretches of work, a `with` at a time; its `seconds` are the sum."""

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
    """Indices and scores, (Q, k), of the k largest of each row (N,) of similarities.

    Ties go to the lower row; where N < k, -1 and -inf fill up.
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
