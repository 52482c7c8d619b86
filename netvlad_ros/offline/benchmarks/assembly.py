"""assemble(): a Benchmark of the images on disk, and ground truth by frames or radius."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, Rows
from netvlad_ros.offline.benchmarks.loader import DatasetInfo
from netvlad_ros.offline.benchmarks.numbered_images import NumberedImages


def assemble(
    dataset: DatasetInfo,
    root: Path,
    database: NumberedImages,
    queries: NumberedImages,
    positives: Iterable[ArrayLike],
    *,
    unknown: Sequence[str] = (),
) -> Benchmark:
    """A benchmark of the images that are on disk; the ground truth is renumbered to them.

    Args:
        dataset: its name, title and protocol.
        root: its folder, for errors.
        database: the images to search in.
        queries: the query images.
        positives: per query the numbers of the right database images; numbers beyond the end of
            the database count as missing images.
        unknown: further names that are in the ground truth but not on disk.

    Raises:
        NetvladError: no database image, no query image, or no query with a right image.
    """
    kept = [i for i, path in enumerate(database.paths) if path is not None]
    row_of = np.full(len(database), -1, dtype=np.int64)
    row_of[kept] = np.arange(len(kept))
    beyond: set[int] = set()
    right: list[Rows] = []
    for path, numbers in zip(queries.paths, positives, strict=True):
        wanted = np.unique(np.asarray(numbers, dtype=np.int64))
        inside = (wanted >= 0) & (wanted < len(row_of))
        beyond.update(wanted[~inside].tolist())
        if path is not None:
            rows = row_of[wanted[inside]]
            right.append(rows[rows >= 0])
    missing = (
        *database.missing(),
        *queries.missing(),
        *unknown,
        *(f'database image {number}' for number in sorted(beyond)),
    )
    benchmark = Benchmark(
        name=dataset.name,
        protocol=dataset.protocol,
        database=tuple(path for path in database.paths if path is not None),
        queries=tuple(path for path in queries.paths if path is not None),
        positives=tuple(right),
        missing=missing,
    )
    for what, paths in (('database', benchmark.database), ('query', benchmark.queries)):
        if not paths:
            first = f', the first is {missing[0][:120]}' if missing else ''
            raise NetvladError(
                f'{root}: {dataset.title} has no {what} image there ({len(missing)} missing{first})'
            )
    if not any(len(rows) for rows in right):
        raise NetvladError(
            f'{root}: no query has a right image in the database ({len(missing)} images missing); '
            f'is this {dataset.title}?'
        )
    return benchmark


def within_frames(queries: NumberedImages, database: NumberedImages, tolerance: int) -> list[Rows]:
    """Per query the database numbers at most `tolerance` [frames] from its own number."""
    end = len(database)
    return [
        np.arange(max(i - tolerance, 0), min(i + tolerance + 1, end), dtype=np.int64)
        for i in range(len(queries))
    ]


def within_radius(
    queries_m: NDArray[np.float64], database_m: NDArray[np.float64], radius_m: float
) -> list[Rows]:
    """Per query (Q, d) [m] the ascending rows of database (D, d) [m] at most radius_m away."""
    if not len(queries_m) or not len(database_m):
        return [np.empty(0, dtype=np.int64) for _ in queries_m]
    found = cKDTree(database_m).query_ball_point(queries_m, radius_m, return_sorted=True)
    return [np.asarray(rows, dtype=np.int64) for rows in found]
