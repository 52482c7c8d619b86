"""Queries, the images that they are searched in, and which of those are right."""

from __future__ import annotations

from collections.abc import Callable
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
    missing: images that the ground truth names and the disk lacks; they are in neither side.
    """

    name: str
    protocol: str
    database: tuple[Path, ...]
    queries: tuple[Path, ...]
    positives: tuple[Rows, ...]
    junk: tuple[Rows, ...] = ()
    boxes: tuple[Box | None, ...] = ()
    query_order: Rows | None = None
    missing: tuple[str, ...] = ()


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
            return self.read(root)
        except NetvladError as error:
            raise NetvladError(
                f'{error}; {self.name} is expected as {self.layout}; it is to be had from '
                f'{self.obtained} (`netvlad benchmarks {self.name}` tells more)'
            ) from error
