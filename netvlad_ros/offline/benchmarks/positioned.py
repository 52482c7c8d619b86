"""Benchmarks whose images have positions: dbStruct lists, UTM-named folders, MSLS."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.assembly import assemble, within_radius
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, Rows
from netvlad_ros.offline.benchmarks.loader import DatasetInfo
from netvlad_ros.offline.benchmarks.numbered_images import NumberedImages
from netvlad_ros.offline.datasets.msls import read_msls
from netvlad_ros.offline.datasets.pittsburgh_mat import read_pittsburgh_mat
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.datasets.utm_folders import NO_PLACE, read_utm_folders

RADIUS_M = 25.0  # Torii et al., CVPR 2013; Arandjelovic et al., CVPR 2016, section 5.1
MSLS_CITIES = ('cph', 'sf')  # the validation set of Warburg et al., CVPR 2020
VIEW = re.compile(r'_012_[0-9]+$')  # ends the names of the twelve views of a Tokyo 24/7 panorama


def has_utm_folders(root: Path) -> bool:
    """Whether `images/test/`, or root itself, has database/ and queries/."""
    folders = root / 'images' / 'test', root
    return any(all((f / side).is_dir() for side in ('database', 'queries')) for f in folders)


def load_utm_folders(dataset: DatasetInfo, root: Path) -> Benchmark:
    """`images/test/` with database/ and queries/, or a folder that has these two itself.

    The names are the ground truth. A missing image is therefore missing in the ground truth too,
    and cannot be noticed.
    """
    split = root / 'images' / 'test'
    folder = split if split.is_dir() else dataset.folder(root)
    for side in ('database', 'queries'):
        if not (folder / side).is_dir():
            raise dataset.missing(folder / side)
    return _benchmark(dataset, root, [read_utm_folders(folder)])


def load_tokyo247(name: str, dataset: DatasetInfo, root: Path) -> Benchmark:
    """As load_listed; the 12 views of a panorama are one group (dbTokyo247.m)."""
    benchmark = load_listed(name, dataset, root)
    panoramas = [str(path.with_name(VIEW.sub('', path.stem))) for path in benchmark.database]
    groups = np.unique(panoramas, return_inverse=True)[1].astype(np.int64)
    return replace(benchmark, groups=groups) if groups.max() + 1 < len(groups) else benchmark


def load_listed(name: str, dataset: DatasetInfo, root: Path) -> Benchmark:
    """The list `name` (.mat) in root or root/datasets, with the images below root.

    If the list has time stamps, images of a query's own time are junk, as in the authors' own
    evaluation (dbTokyoTimeMachine.m). If there is no list, but the same set in UTM-named folders,
    those folders are read.
    """
    dataset.folder(root)
    for path in (root / 'datasets' / name, root / name):
        if path.is_file():
            source = read_pittsburgh_mat(path)
            return _without_own_time(_benchmark(dataset, root, [source]), source)
    if has_utm_folders(root):
        return load_utm_folders(dataset, root)
    raise dataset.missing(root / name)


def load_msls(dataset: DatasetInfo, root: Path) -> Benchmark:
    """The validation cities below `train_val/`, or one city's own folder.

    Source: the authors' own evaluation (msls.py, evaluate.py). Images that subtask_index.csv
    excludes from the task are neither queries nor in the database. Directions of view do not count.
    """
    if (dataset.folder(root) / 'query').is_dir():
        cities = [root]
    else:
        above = root / 'train_val' if (root / 'train_val').is_dir() else root
        cities = [dataset.folder(above / city) for city in MSLS_CITIES]
    return _benchmark(dataset, root, [read_msls(city, task='all') for city in cities])


def _benchmark(dataset: DatasetInfo, root: Path, sources: Sequence[PlaceImages]) -> Benchmark:
    """Positives within RADIUS_M of each other, in one source and area."""
    database, queries = NumberedImages((), ()), NumberedImages((), ())
    positives: list[Rows] = []
    for source in sources:
        if source.positions_m is None:
            raise NetvladError(f'{source.name}: no position is known')
        rows = np.flatnonzero(source.is_database), np.flatnonzero(source.is_query)
        first = len(database)
        for query in _near(source, *rows):
            positives.append(query + first)
        database = database.then(_numbered_images(source, rows[0]))
        queries = queries.then(_numbered_images(source, rows[1]))
    unknown = [
        skip.image for source in sources for skip in source.skipped if _is_missing(skip.reason)
    ]
    return assemble(dataset, root, database, queries, positives, unknown=unknown)


def _without_own_time(benchmark: Benchmark, source: PlaceImages) -> Benchmark:
    database, queries = (source.recordings[rows] for rows in (source.is_database, source.is_query))
    own = {time: np.flatnonzero(database == time) for time in np.unique(queries)}
    if not any(len(rows) for rows in own.values()):
        return benchmark
    # Queries of one time share one array, because the arrays are many and long.
    junk = tuple(own[time] for time in queries)
    right = tuple(
        rows[database[rows] != time]
        for rows, time in zip(benchmark.positives, queries, strict=True)
    )
    return replace(benchmark, positives=right, junk=junk)


def _is_missing(reason: str) -> bool:
    return reason.startswith(('the image does not exist', 'outside the folder', NO_PLACE))


def _near(source: PlaceImages, database: Rows, queries: Rows) -> list[Rows]:
    assert source.positions_m is not None
    found: list[Rows] = [np.empty(0, dtype=np.int64) for _ in queries]
    for area in np.unique(source.areas[queries]):
        rows = np.flatnonzero(source.areas[database] == area)
        asked = np.flatnonzero(source.areas[queries] == area)
        near = within_radius(
            source.positions_m[queries[asked]], source.positions_m[database[rows]], RADIUS_M
        )
        for query, right in zip(asked, near, strict=True):
            found[query] = rows[right]
    return found


def _numbered_images(source: PlaceImages, indices: Rows) -> NumberedImages:
    paths = tuple(source.images[i] for i in indices)
    return NumberedImages(tuple(str(path) for path in paths), paths)
