"""Benchmarks with a list of right pairs, by name (.csv) or by number (.npy).

As published, a .npy holds one row [query, [reference, ...]] for each query, counted from 0, with -1
if there is no answer (Zaffar et al., VPR-Bench). P x 2 whole numbers are read too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.assembly import assemble
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, Rows
from netvlad_ros.offline.benchmarks.loader import DatasetInfo
from netvlad_ros.offline.benchmarks.numbered_images import (
    NumberedImages,
    counted_images,
    images_from_zero,
    named_images,
    natural,
)
from netvlad_ros.offline.benchmarks.positioned import has_utm_folders, load_utm_folders
from netvlad_ros.offline.files.csv_file import read_table
from netvlad_ros.offline.files.image_files import image_names, relative_image
from netvlad_ros.offline.files.numpy_file import read_plain_array

CSV, HEADER = 'ground_truth.csv', ('query', 'reference')
SAME_NUMBER = ' (each query goes with the reference of its own number)'
MAX_PAIRS = 2**22  # one list can stand in many rows of a small file
RIDGE = (65, 101)  # images of db_images/ and q_images/


def load_vpr_bench(dataset: DatasetInfo, root: Path) -> Benchmark:
    """query/ and ref/ numbered from 0, with ground_truth_new.npy or ground_truth.csv.

    The CSV (query, reference: names inside the two folders) is used if both exist. A set that was
    converted to UTM-named folders, with 1 km between places, is read from those.
    """
    if has_utm_folders(root):
        return load_utm_folders(dataset, root)
    folders = [dataset.folder(dataset.folder(root) / name) for name in ('ref', 'query')]
    if (root / CSV).is_file():
        return _of_names(dataset, root, *folders)
    path = dataset.file(root / 'ground_truth_new.npy')
    pairs = _read_pairs(path, _instead(root, SAME_NUMBER))
    database, queries = (images_from_zero(folder) for folder in folders)
    lines = pairs[:, 0].max(initial=-1) + 1
    if queries.paths[:1] == database.paths[:1] == (None,) and len(queries) == lines + 1:
        raise NetvladError(
            f'{folders[1]} and {folders[0]} are numbered from 1 and {path.name} counts from 0; '
            'number the images from 0000000.jpg on'
        )
    return assemble(dataset, root, database, *_by_query(pairs, queries, path))


def load_mid_atlantic(dataset: DatasetInfo, root: Path) -> Benchmark:
    """db_images/ (65) and q_images/ (101), with eiffel_gt.npy or ground_truth.csv."""
    folders = [dataset.folder(dataset.folder(root) / name) for name in ('db_images', 'q_images')]
    if (root / CSV).is_file():
        return _of_names(dataset, root, *folders)
    path, instead = dataset.file(root / 'eiffel_gt.npy'), _instead(root)
    pairs = _read_pairs(path, instead, queries=RIDGE[1])
    database, queries = (
        counted_images(folder, count, dataset) for folder, count in zip(folders, RIDGE, strict=True)
    )
    return assemble(dataset, root, database, *_by_query(pairs, queries, path))


def _instead(root: Path, more: str = '') -> str:
    return (
        f'get it again, or write {root / CSV} in its place: a first line "{",".join(HEADER)}", '
        f'then a line for each right pair, the names of two images{more}'
    )


def _read_pairs(path: Path, instead: str, queries: int | None = None) -> Rows:
    """Pairs (P, 2) int64, query and reference, none of them negative.

    Args:
        path: of the .npy.
        instead: what a user can do if the file is refused, for errors.
        queries: how many there are. If the file has rows for twice as many, the first half is
            skipped and the other rows belong to the queries by their order, as AnyLoc reads it.
    """
    array = read_plain_array(path, instead)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in 'iuO':
        raise NetvladError(
            f'{path} must hold rows of a query and its right references, counted from 0; '
            f'it holds {array.dtype} {array.shape}; {instead}'
        )
    if array.dtype != object:
        pairs = array.astype(np.int64)
    elif queries is not None and len(array) >= 2 * queries:
        pairs = _of_rows(range(queries), array[queries : 2 * queries, 1], path, instead)
    else:
        pairs = _of_rows(array[:, 0], array[:, 1], path, instead)
    return pairs[pairs[:, 1] >= 0]  # -1 stands for none


def _of_rows(queries: Iterable[Any], references: NDArray[Any], path: Path, instead: str) -> Rows:
    """A pair for each reference of each row; sizes are checked before a pair is made."""
    lists = [
        row
        if isinstance(row, list | tuple)
        else row.ravel()
        if isinstance(row, np.ndarray)
        else [row]
        for row in references
    ]
    if sum(map(len, lists)) > MAX_PAIRS:
        raise NetvladError(f'{path} holds more than {MAX_PAIRS} pairs; {instead}')
    pairs: list[tuple[int, int]] = []
    for line, (query, row) in enumerate(zip(queries, lists, strict=True)):
        if not all(_is_index(number) for number in (query, *row)):
            raise NetvladError(
                f'{path}, row {line} is not a query and its right references, whole numbers; '
                f'{instead}'
            )
        pairs += [(int(query), int(number)) for number in row]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _is_index(value: Any) -> bool:
    return isinstance(value, int | np.integer) and bool(-1 <= value < 2**31)


def _by_query(
    pairs: Rows, queries: NumberedImages, path: Path
) -> tuple[NumberedImages, list[Rows]]:
    """The queries, extended to the highest query of the pairs, and the references of each."""
    if len(pairs) and (pairs[:, 0].min() < 0 or pairs[:, 0].max() >= len(queries) + len(pairs)):
        raise NetvladError(
            f'{path} names queries {pairs[:, 0].min()} to {pairs[:, 0].max()}; '
            f'there are {len(queries)}'
        )
    end = int(pairs[:, 0].max()) + 1 if len(pairs) else 0
    more = tuple(f'query image {i}' for i in range(len(queries), end))
    extended = queries.then(NumberedImages(more, (None,) * len(more)))
    order = np.argsort(pairs[:, 0], kind='stable')
    starts = np.searchsorted(pairs[order, 0], np.arange(1, len(extended)))
    return extended, np.split(pairs[order, 1], starts)


def _of_names(dataset: DatasetInfo, root: Path, database: Path, queries: Path) -> Benchmark:
    """The images of both folders, and those that only the CSV names."""
    path = root / CSV
    pairs: list[tuple[str, str]] = []
    for line, cells in read_table(path, HEADER):
        query, reference = (relative_image(cell, f'{path}, line {line}') for cell in cells)
        pairs.append((query, reference))
    listed = []
    for folder, named in zip((database, queries), (1, 0), strict=True):
        names = sorted({*image_names(folder), *(pair[named] for pair in pairs)}, key=natural)
        listed.append((names, named_images(root, [f'{folder.name}/{name}' for name in names])))
    row = {name: i for i, name in enumerate(listed[0][0])}
    wanted: dict[str, list[int]] = {name: [] for name in listed[1][0]}
    for query, reference in pairs:
        wanted[query].append(row[reference])
    return assemble(dataset, root, listed[0][1], listed[1][1], wanted.values())
