"""Nardo-Air, upright and rotated: aerial queries and the five best satellite tiles of each.

AnyLoc's reader counts the images of each folder in natural order and never opens query.csv and
reference.csv. Here these two list which images there should be, so that a missing image does not
shift the numbers of the others.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.assembly import assemble
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, Rows
from netvlad_ros.offline.benchmarks.loader import DatasetInfo
from netvlad_ros.offline.benchmarks.numbered_images import (
    NumberedImages,
    counted_images,
    named_images,
    natural,
)
from netvlad_ros.offline.files.csv_file import ColumnRow, read_columns, read_lines
from netvlad_ros.offline.files.image_files import SUFFIXES, image_names

RIGHT = tuple(f'top_{rank}_ref_ind' for rank in range(1, 6))


def load_nardo_air(dataset: DatasetInfo, root: Path) -> Benchmark:
    """query_images/, reference_images/ in natural order; gt_matches.csv counts them from 0."""
    dataset.folder(root)
    path = dataset.file(root / 'gt_matches.csv')
    right: dict[int, list[int]] = {}
    for row in read_columns(path, ('query_ind', *RIGHT)):
        query = _index(row, 'query_ind')
        if query in right:
            raise NetvladError(f'{row.where}: query_ind {query} stands there a second time')
        right[query] = [_index(row, column) for column in RIGHT]
    queries, database = (_listed(dataset, root, kind) for kind in ('query', 'reference'))
    beyond = [f'query image {i}' for i in sorted(right) if not i < len(queries)]
    none: list[int] = []
    positives: list[Rows] = [
        np.array(right.get(i, none), dtype=np.int64) for i in range(len(queries))
    ]
    return assemble(dataset, root, database, queries, positives, unknown=beyond)


def _listed(dataset: DatasetInfo, root: Path, kind: str) -> NumberedImages:
    """The images that root/kind.csv lists, in natural order.

    The column that names images is used, whatever it is called. If no column names the images on
    disk, only the number of lines is used.
    """
    path = dataset.file(root / f'{kind}.csv')
    folder = dataset.folder(root / f'{kind}_images')
    on_disk = set(image_names(folder))
    lines = [cells for _, cells in read_lines(path)][1:]
    if not lines:
        raise NetvladError(f'{path} lists no image')
    for column in zip(*lines, strict=True):
        names = [PurePosixPath(cell.replace('\\', '/')).name for cell in column]
        images = [name for name in names if PurePosixPath(name).suffix.lower() in SUFFIXES]
        if len(images) > len(names) // 2 and (not on_disk.isdisjoint(images) or not on_disk):
            unlisted = sorted(on_disk - set(images), key=natural)
            if unlisted:
                raise NetvladError(
                    f'{folder / unlisted[0]} is not listed in {path}: gt_matches.csv counts the '
                    'images, so it cannot be told which one is which; get the list again, or take '
                    'the image away'
                )
            others = [name for name in names if name not in images]
            ordered = [*sorted(images, key=natural), *others]
            return named_images(root, [f'{folder.name}/{name}' for name in ordered])
    return counted_images(folder, len(lines), dataset)


def _index(row: ColumnRow, column: str) -> int:
    value = row.number(column)
    if value != int(value) or not 0 <= value < 2**31:
        raise NetvladError(f'{row.where}: {column} is {value:g}, no index of an image')
    return int(value)
