"""Closes the holes of both sides and moves the ground truth with them."""

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
    """The benchmark of what is there.

    positives: per slot of queries the right slots of database, integers; those beyond its end are
    images that nobody has: they are counted as missing. unknown: further names that the ground
    truth has and the disk lacks.

    Raises:
        NetvladError: a side without an image, or no query with a right image.
    """
    kept = [i for i, path in enumerate(database.paths) if path is not None]
    row_of = np.full(len(database), -1, dtype=np.int64)
    row_of[kept] = np.arange(len(kept))
    beyond: set[int] = set()
    right: list[Rows] = []
    for path, slots in zip(queries.paths, positives, strict=True):
        wanted = np.unique(np.asarray(slots, dtype=np.int64))
        inside = (wanted >= 0) & (wanted < len(row_of))
        beyond.update(wanted[~inside].tolist())
        if path is not None:
            rows = row_of[wanted[inside]]
            right.append(rows[rows >= 0])
    missing = (
        *database.missing(),
        *queries.missing(),
        *unknown,
        *(f'database image {slot}' for slot in sorted(beyond)),
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
    """Per query slot the database slots at most `tolerance` [frames] from its own index."""
    end = len(database)
    return [
        np.arange(max(i - tolerance, 0), min(i + tolerance + 1, end), dtype=np.int64)
        for i in range(len(queries))
    ]


def within_radius(
    queries_m: NDArray[np.float64], database_m: NDArray[np.float64], radius_m: float
) -> list[Rows]:
    """Per query (Q, d) [m] the rows of database (D, d) [m] at most radius_m away, ascending."""
    if not len(queries_m) or not len(database_m):
        return [np.empty(0, dtype=np.int64) for _ in queries_m]
    found = cKDTree(database_m).query_ball_point(queries_m, radius_m, return_sorted=True)
    return [np.asarray(rows, dtype=np.int64) for rows in found]
