"""Benchmark and BenchmarkInfo; where an unpacked archive begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError

Rows = NDArray[np.int64]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Benchmark:
    """D images to search in and Q queries, with the ground truth of the published protocol.

    protocol: one sentence: radius, frames or index tolerance. positives: per query the ascending
    rows of database that are right, (P,) int64; none = the query has no answer, counted apart.
    junk: per query rows that count neither way; () = none for all. boxes: the crop of each query
    image (x0, y0, x1, y1) [px], None = the whole image; () = all whole. query_order: rows of
    queries in order of time, (Q,) int64; None = queries, and the database, are listed in order.
    groups: (D,) int64, the same number for the views of one panorama: the best of them stands for
    all; None = every image for itself. missing: images that the ground truth names and the disk
    lacks; they are in neither side.
    """

    name: str
    protocol: str
    database: tuple[Path, ...]
    queries: tuple[Path, ...]
    positives: tuple[Rows, ...]
    junk: tuple[Rows, ...] = ()
    boxes: tuple[Box | None, ...] = ()
    query_order: Rows | None = None
    groups: Rows | None = None
    missing: tuple[str, ...] = ()

    def depth(self, count: int) -> int:
        """How many rows a method must rank so that `count` that count are left, as a rule.

        Where much is junk (Tokyo Time Machine), ten times as many are ranked, as its authors do.
        """
        junk = min(max(map(len, self.junk), default=0), 9 * count)
        views = 1 if self.groups is None else int(np.bincount(self.groups).max())
        return min((count + junk) * views, len(self.database))

    def counted(self, query: int, ranked: Sequence[int] | Rows) -> Rows:
        """Which of the ranked rows of a query count: places in `ranked`, ascending.

        Left out are -1, junk, and the views of a panorama after its best one.
        """
        rows = np.asarray(ranked, dtype=np.int64)
        kept = rows >= 0
        if self.junk:
            kept &= ~np.isin(rows, self.junk[query])
        if self.groups is not None:
            best = np.unique(self.groups[rows[kept]], return_index=True)[1]
            return np.flatnonzero(kept)[np.sort(best)]
        return np.flatnonzero(kept)


@dataclass(frozen=True)
class BenchmarkInfo:
    """What a user must know of a benchmark before it is there.

    layout: the expected folder, one line. obtained: who hands it out, in words. published_*: of
    NetVLAD [%], None where no figure of this protocol is known. read: reads a root folder; raises
    NetvladError that names the file that is missing or broken.
    """

    name: str
    title: str
    layout: str
    protocol: str
    obtained: str
    read: Callable[[Path], Benchmark]
    published_recall_at_1: float | None = None
    published_map: float | None = None

    def load(self, root: Path) -> Benchmark:
        """Read a root folder.

        Raises:
            NetvladError: a file is missing or broken: which, what is expected, and who has it.
        """
        try:
            if not root.is_dir():
                raise NetvladError(f'{root} is no folder; it should be the root of {self.title}')
            return self.read(unpacked_root(root, self.layout))
        except (NetvladError, OSError) as error:
            what: object = error
            if isinstance(error, OSError):
                what = f'{str(error.filename or root)[:200]} cannot be read: {error.strerror}'
            raise NetvladError(
                f'{what}; {self.name} is expected as {self.layout}; it is to be had from '
                f'{self.obtained} (`netvlad benchmarks {self.name}` tells more)'
            ) from error


LITTER = frozenset(('__MACOSX', 'Thumbs.db', 'desktop.ini'))
ARCHIVES = frozenset(('.zip', '.tar', '.gz', '.tgz', '.bz2', '.xz', '.7z', '.rar'))
DEEPEST = 3  # linked folders may run in circles


def unpacked_root(root: Path, layout: str) -> Path:
    """root, or the folder that is all there is in it, unless the layout names that folder.

    Archives and what systems leave behind beside it do not count.
    """
    expected = set(re.findall(r'[\w.-]+', layout))
    for _ in range(DEEPEST):
        inside = [path for path in root.iterdir() if not _is_litter(path)]
        if len(inside) != 1 or inside[0].name in expected or not inside[0].is_dir():
            break
        root = inside[0]
    return root


def _is_litter(path: Path) -> bool:
    return (
        path.name.startswith('.')
        or path.name in LITTER
        or (path.suffix.lower() in ARCHIVES and path.is_file())
    )


def fit_images(paths: Sequence[Path], benchmark: Benchmark) -> tuple[Path, ...]:
    """Images to learn from. Raises NetvladError if there are none, or queries among them."""
    if not paths:
        raise NetvladError('there is no image to fit on')
    queries = {path.resolve() for path in benchmark.queries}
    shared = sum(path.resolve() in queries for path in paths)
    if shared:
        raise NetvladError(
            f'{shared} of the images to fit on are queries of {benchmark.name}, which would '
            'flatter the result; fit on others'
        )
    return tuple(paths)


def count_database_images(paths: Sequence[Path], benchmark: Benchmark) -> int:
    """Count the images that are places of the benchmark: what is fitted on them flatters."""
    places = {path.resolve() for path in benchmark.database}
    return sum(path.resolve() in places for path in paths)
