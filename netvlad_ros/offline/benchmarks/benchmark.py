"""Benchmark, with its ground truth, and BenchmarkInfo, how to get and read one."""

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

# What operating systems and downloads leave beside an unpacked folder.
LITTER = frozenset(('__MACOSX', 'Thumbs.db', 'desktop.ini'))
ARCHIVES = frozenset(('.zip', '.tar', '.gz', '.tgz', '.bz2', '.xz', '.7z', '.rar'))
MAX_DEPTH = 3  # linked folders can form a circle


@dataclass(frozen=True)
class Benchmark:
    """D images to search in and Q queries, with the ground truth of the published protocol.

    Attributes:
        name: under which it is registered.
        protocol: one sentence: radius, frames or index tolerance.
        database: paths of the D images.
        queries: paths of the Q queries.
        positives: per query the ascending rows of database that are right, (P,) int64. A query
            without any has no answer and is counted separately.
        junk: per query the rows that count neither way; () = none for all.
        boxes: the crop of each query image (x0, y0, x1, y1) [px], None = the whole image; () = all
            whole.
        query_order: rows of queries in order of time, (Q,) int64; None = queries and database are
            listed in order of time.
        groups: (D,) int64, the same number for the views of one panorama, of which only the best
            one counts; None = every image counts.
        missing: images that the ground truth names but that are missing on disk; they are in
            neither database nor queries.
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
        """How many rows a method must rank so that usually `count` of them count.

        At most ten times as many because of junk, as the authors of Tokyo Time Machine do.
        """
        junk = min(max(map(len, self.junk), default=0), 9 * count)
        views = 1 if self.groups is None else int(np.bincount(self.groups).max())
        return min((count + junk) * views, len(self.database))

    def counted(self, query: int, ranked: Sequence[int] | Rows) -> Rows:
        """Ascending positions in `ranked` of the rows that count for a query.

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
    """What a user must know of a benchmark before downloading it, and its reader.

    Attributes:
        name: under which it is registered.
        title: for people.
        layout: the expected folder, one line.
        protocol: one sentence: radius, frames or index tolerance.
        obtained: who publishes it, in words.
        read: reads a root folder; raises NetvladError that names the missing or broken file.
        published_recall_at_1: of NetVLAD [%]; None = no value of this protocol is known.
        published_map: mean average precision of NetVLAD [%]; None likewise.
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
            NetvladError: a file is missing or broken. The message names the file, the expected
                layout and who publishes the benchmark.
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


def unpacked_root(root: Path, layout: str) -> Path:
    """Where an unpacked archive begins: root, or the only folder in it.

    A folder that the layout names is not entered. Archives and LITTER beside a folder are ignored.
    """
    expected = set(re.findall(r'[\w.-]+', layout))
    for _ in range(MAX_DEPTH):
        inside = [path for path in root.iterdir() if not _is_litter(path)]
        if len(inside) != 1 or inside[0].name in expected or not inside[0].is_dir():
            break
        root = inside[0]
    return root


def fit_images(paths: Sequence[Path], benchmark: Benchmark) -> tuple[Path, ...]:
    """Images to learn from.

    Raises:
        NetvladError: there are none, or some of them are queries of the benchmark.
    """
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
    """Count the images that are in the database of the benchmark.

    Fitting on them makes results better than on other images.
    """
    places = {path.resolve() for path in benchmark.database}
    return sum(path.resolve() in places for path in paths)


def _is_litter(path: Path) -> bool:
    return (
        path.name.startswith('.')
        or path.name in LITTER
        or (path.suffix.lower() in ARCHIVES and path.is_file())
    )
