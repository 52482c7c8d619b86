"""Benchmarks in this project's own folder layouts: three of its drives, and drives of a user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.assembly import assemble
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, Rows
from netvlad_ros.offline.benchmarks.loader import DatasetInfo
from netvlad_ros.offline.benchmarks.numbered_images import named_images
from netvlad_ros.offline.drives.pairs_file import read_pairs
from netvlad_ros.offline.drives.poses_file import read_poses
from netvlad_ros.offline.files.csv_file import read_table
from netvlad_ros.offline.files.image_files import relative_image
from netvlad_ros.offline.metrics.accuracy import places_within

LAP = 40  # images of one lap of the corridor
NEAR_M, NEAR_DEG = 0.5, 30.0
MICHIGAN_HEADER = ('image', 'place', 'month', 'dx_px_at_1024_wrt_month1')


def load_corridor_loop(dataset: DatasetInfo, root: Path) -> Benchmark:
    """Images 41 to 80 searched in 1 to 40; right: the pairs of pairs.csv."""
    path = dataset.file(dataset.folder(root) / 'pairs.csv')
    pairs = read_pairs(path)
    names = [f'images/{number:03d}.jpg' for number in range(1, 2 * LAP + 1)]
    row = {name: i for i, name in enumerate(names[:LAP])}
    others = sorted({*pairs, *(db for right in pairs.values() for db in right)} - set(names))
    unknown = named_images(root, others).missing()  # images of a third lap exist, but are not used
    positives = [[row[db] for db in pairs.get(query, ()) if db in row] for query in names[LAP:]]
    return _of_names(dataset, root, names[:LAP], names[LAP:], positives, unknown)


def load_pairs(dataset: DatasetInfo, root: Path) -> Benchmark:
    """Images of the query column searched in those of the db column that are no queries."""
    path = dataset.file(dataset.folder(root) / 'pairs.csv')
    pairs = read_pairs(path)
    queries = sorted(pairs)
    database = sorted({db for right in pairs.values() for db in right} - set(queries))
    if not database:
        raise NetvladError(f'{path}: every image of its db column is a query, too')
    row = {name: i for i, name in enumerate(database)}
    positives = [[row[db] for db in pairs[query] if db in row] for query in queries]
    return _of_names(dataset, root, database, queries, positives)


def load_halves(dataset: DatasetInfo, root: Path) -> Benchmark:
    """The second half of poses.csv searched in the first: within 0.5 m and 30 degrees."""
    poses = read_poses(dataset.file(dataset.folder(root) / 'poses.csv'))
    half = len(poses) // 2
    if not half:
        raise NetvladError(f'{root / "poses.csv"} names one image; {dataset.title} has two halves')
    names, T = list(poses.images), poses.T_map_cam
    positives = [places_within(T[:half], T_query, NEAR_M, NEAR_DEG) for T_query in T[half:]]
    return _of_names(dataset, root, names[:half], names[half:], positives)


def load_michigan(dataset: DatasetInfo, root: Path) -> Benchmark:
    """Months 2 to 12 searched in month 1; right: the same place."""
    path = dataset.file(dataset.folder(root) / 'ground_truth.csv')
    rows = [
        (relative_image(cells[0], f'{path}, line {line}'), *cells[1:3])
        for line, cells in read_table(path, MICHIGAN_HEADER)
    ]
    first = [row for row in rows if row[2] == '1']
    later = [row for row in rows if row[2] != '1']
    places = np.array([place for _, place, _ in first])
    positives = [np.flatnonzero(places == place) for _, place, _ in later]
    database, queries = ([name for name, *_ in part] for part in (first, later))
    return _of_names(dataset, root, database, queries, positives)


def _of_names(
    dataset: DatasetInfo,
    root: Path,
    database: Sequence[str],
    queries: Sequence[str],
    positives: Sequence[Sequence[int] | Rows],
    unknown: Sequence[str] = (),
) -> Benchmark:
    images = named_images(root, database), named_images(root, queries)
    return assemble(dataset, root, *images, positives, unknown=unknown)
