"""Nardo-Air, upright and rotated: aerial queries and the five best satellite tiles of each."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.assembly import assemble
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, Rows
from netvlad_ros.offline.benchmarks.origin import Origin
from netvlad_ros.offline.benchmarks.slots import Slots, named_slots
from netvlad_ros.offline.layouts.column_table import ColumnRow, read_columns

RIGHT = tuple(f'top_{rank}_ref_ind' for rank in range(1, 6))


def load_nardo_air(origin: Origin, root: Path) -> Benchmark:
    """query.csv and reference.csv name the images, gt_matches.csv counts in their lines."""
    origin.folder(root)
    asked, places = (
        _listed(origin, root, f'{side}.csv', f'{side}_images') for side in ('query', 'reference')
    )
    path = origin.file(root / 'gt_matches.csv')
    right: dict[int, list[int]] = {}
    for row in read_columns(path, ('query_ind', *RIGHT)):
        query = _index(row, 'query_ind')
        if query in right:
            raise NetvladError(f'{row.where}: query_ind {query} stands there a second time')
        right[query] = [_index(row, column) for column in RIGHT]
    beyond = [f'query image {i}' for i in sorted(right) if not i < len(asked)]
    none: list[int] = []
    positives: list[Rows] = [
        np.array(right.get(i, none), dtype=np.int64) for i in range(len(asked))
    ]
    return assemble(origin, root, places, asked, positives, unknown=beyond)


def _listed(origin: Origin, root: Path, table: str, folder: str) -> Slots:
    path = origin.file(root / table)
    origin.folder(root / folder)
    names = [PurePosixPath(row.cells['name']).name for row in read_columns(path, ('name',))]
    return named_slots(root, [f'{folder}/{name}' for name in names])


def _index(row: ColumnRow, column: str) -> int:
    value = row.number(column)
    if value != int(value) or not 0 <= value < 2**31:
        raise NetvladError(f'{row.where}: {column} is {value:g}, no index of an image')
    return int(value)
