"""Benchmarks that come with a list of right pairs: ground_truth.csv, or pairs of whole numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.assembly import assemble
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, Rows
from netvlad_ros.offline.benchmarks.origin import Origin
from netvlad_ros.offline.benchmarks.plain_array import read_plain_array
from netvlad_ros.offline.benchmarks.slots import (
    Slots,
    counted_slots,
    named_slots,
    natural,
    numbered_from_zero,
)
from netvlad_ros.offline.image_folder import image_names
from netvlad_ros.offline.poses_file import relative_image
from netvlad_ros.offline.table_file import read_table

CSV, HEADER = 'ground_truth.csv', ('query', 'reference')


def load_vpr_bench(origin: Origin, root: Path) -> Benchmark:
    """query/ and ref/ numbered from 0, with ground_truth.csv or ground_truth_new.npy.

    The CSV (query, reference: names inside the two folders) goes first where both are there.
    """
    folders = [origin.folder(origin.folder(root) / name) for name in ('ref', 'query')]
    if (root / CSV).is_file():
        return _of_names(origin, root, *folders)
    path = origin.file(root / 'ground_truth_new.npy')
    pairs = _read_pairs(path, root)
    places, asked = (numbered_from_zero(folder) for folder in folders)
    return assemble(origin, root, places, *_by_query(pairs, asked))


def load_mid_atlantic(origin: Origin, root: Path) -> Benchmark:
    """db_images/ (65) and q_images/ (101), with ground_truth.csv or eiffel_gt.npy."""
    folders = [origin.folder(origin.folder(root) / name) for name in ('db_images', 'q_images')]
    if (root / CSV).is_file():
        return _of_names(origin, root, *folders)
    pairs = _read_pairs(origin.file(root / 'eiffel_gt.npy'), root)
    places, asked = (
        counted_slots(folder, count, origin)
        for folder, count in zip(folders, (65, 101), strict=True)
    )
    return assemble(origin, root, places, *_by_query(pairs, asked))


def _read_pairs(path: Path, root: Path) -> Rows:
    """Pairs (P, 2) int64, query and reference, of a .npy of whole numbers."""
    otherwise = (
        f'write {root / CSV} in its place: a first line "{",".join(HEADER)}", then a line for '
        'each right pair, the names of two images (in SPED and ESSEX3IN1 each query goes with '
        'the reference of its own number)'
    )
    pairs = read_plain_array(path, otherwise)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in 'iu':
        raise NetvladError(
            f'{path} must hold whole numbers, P x 2: a query and a reference that is right; '
            f'it holds {pairs.dtype} {pairs.shape}; {otherwise}'
        )
    return pairs.astype(np.int64)


def _by_query(pairs: Rows, asked: Slots) -> tuple[Slots, list[Rows]]:
    """The query slots, lengthened to the highest query of the pairs, and their references."""
    if len(pairs) and (pairs[:, 0].min() < 0 or pairs[:, 0].max() >= len(asked) + len(pairs)):
        raise NetvladError(
            f'the ground truth names queries {pairs[:, 0].min()} to {pairs[:, 0].max()}; '
            f'there are {len(asked)}'
        )
    end = int(pairs[:, 0].max()) + 1 if len(pairs) else 0
    more = tuple(f'query image {i}' for i in range(len(asked), end))
    queries = asked.then(Slots(more, (None,) * len(more)))
    order = np.argsort(pairs[:, 0], kind='stable')
    starts = np.searchsorted(pairs[order, 0], np.arange(1, len(queries)))
    return queries, np.split(pairs[order, 1], starts)


def _of_names(origin: Origin, root: Path, database: Path, queries: Path) -> Benchmark:
    """The images of both folders, and those that only the CSV knows."""
    path = root / CSV
    pairs: list[tuple[str, str]] = []
    for line, cells in read_table(path, HEADER):
        query, reference = (relative_image(cell, f'{path}, line {line}') for cell in cells)
        pairs.append((query, reference))
    sides = []
    for folder, named in zip((database, queries), (1, 0), strict=True):
        names = sorted({*image_names(folder), *(pair[named] for pair in pairs)}, key=natural)
        sides.append((names, named_slots(root, [f'{folder.name}/{name}' for name in names])))
    row = {name: i for i, name in enumerate(sides[0][0])}
    wanted: dict[str, list[int]] = {name: [] for name in sides[1][0]}
    for query, reference in pairs:
        wanted[query].append(row[reference])
    return assemble(origin, root, sides[0][1], sides[1][1], wanted.values())
