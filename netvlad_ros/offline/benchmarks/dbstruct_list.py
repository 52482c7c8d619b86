"""Benchmarks with a `dbStruct` list of unnamed cells: Oxford RobotCar and Berlin Kudamm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.assembly import assemble, within_radius
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.loader import DatasetInfo
from netvlad_ros.offline.benchmarks.numbered_images import named_images
from netvlad_ros.offline.files.matlab_file import read_matlab

CELLS = (
    'dbImage', 'locDb', 'qImage', 'locQ', 'numDb', 'numQ', 'posDistThr', 'posDistSqThr',
)  # fmt: skip


def load_dbstruct_list(name: str, images: str, dataset: DatasetInfo, root: Path) -> Benchmark:
    """The list root/name and its images below root/images; right: within the list's own radius.

    The lists were written by Python as a row of cells, one for each of CELLS.

    Raises:
        NetvladError: no list, other fields, or unequal numbers of names and positions.
    """
    path = dataset.file(dataset.folder(root) / name)
    below = dataset.folder(root / images)
    cells = read_matlab(path, 'dbStruct')
    if isinstance(cells, dict):  # written with the names of its fields
        lacking = [cell for cell in CELLS[:7] if cell not in cells]
        if lacking:
            raise NetvladError(
                f'{path}: dbStruct has no field {lacking[0]}; it needs {", ".join(CELLS)}'
            )
        values = [cells[cell] for cell in CELLS[:7]]
    elif isinstance(cells, np.ndarray) and cells.dtype == object and cells.size == len(CELLS):
        values = cells.ravel().tolist()[:7]
    else:
        raise NetvladError(
            f'{path}: dbStruct is not a row of the {len(CELLS)} cells {", ".join(CELLS)}'
        )
    radius_m = float(_numbers(values[6], (1, 1), f'{path}: posDistThr')[0, 0])
    if radius_m <= 0.0:
        raise NetvladError(f'{path}: posDistThr is {radius_m:g} m, no radius')
    listed = []
    for images_of, positions, count in (values[0:2] + values[4:5], values[2:4] + values[5:6]):
        size = float(_numbers(count, (1, 1), f'{path}: numDb or numQ')[0, 0])
        names = _names(images_of, size, f'{path}: dbImage or qImage')
        positions_m = _numbers(positions, (len(names), 2), f'{path}: locDb or locQ')
        listed.append((named_images(below, names), positions_m))
    (database, database_m), (queries, queries_m) = listed
    right = within_radius(queries_m, database_m, radius_m)
    return assemble(dataset, root, database, queries, right)


def _names(value: Any, count: float, what: str) -> list[str]:
    """Names from a char matrix, one a row, padded with blanks; or from cells."""
    if isinstance(value, str) and 0 < count < len(value) + 1 and len(value) % count == 0:
        rows = int(
            count
        )  # MATLAB stores a matrix by columns: all first letters, then all second letters
        return [value[i::rows].replace(' ', '') for i in range(rows)]
    if isinstance(value, np.ndarray) and value.dtype == object and value.size == count:
        names = value.ravel().tolist()
        if all(isinstance(name, str) for name in names):
            return [name.replace(' ', '') for name in names]
    raise NetvladError(f'{what} is not a list of {count:g} file names')


def _numbers(value: Any, shape: tuple[int, int], what: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise NetvladError(f'{what} holds no numbers') from error
    if numbers.shape != shape:
        raise NetvladError(
            f'{what} must be {shape[0]} x {shape[1]} finite numbers; '
            f'it is {" x ".join(map(str, numbers.shape))}'
        )
    if not np.isfinite(numbers).all():
        raise NetvladError(f'{what} holds a number that is not finite')
    return numbers
