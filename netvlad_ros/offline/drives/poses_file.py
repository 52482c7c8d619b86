"""`poses.csv`: which images a folder drive has, when they were taken, and from where."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import check_pose, pose_matrix
from netvlad_ros.offline.files.csv_file import read_table
from netvlad_ros.offline.files.image_files import relative_image

HEADER = ('image', 'timestamp_s', 'x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')
MAX_STAMP_S = Decimal(2**31)  # a larger "second" is a nanosecond or junk


class PoseRow(NamedTuple):
    """One line of the file.

    Attributes:
        image: path of the image, relative to the folder.
        stamp_ns: when it was taken [ns].
        T_map_cam: (4, 4) float64 [m], camera optical frame in the map frame.
    """

    image: str
    stamp_ns: int
    T_map_cam: NDArray[np.float64]


def read_poses(path: Path) -> list[PoseRow]:
    """Read every row, in order. Raises NetvladError that names the broken line by its number."""
    rows: list[PoseRow] = []
    line_of_image: dict[str, int] = {}
    for line, cells in read_table(path, HEADER):
        where = f'{path}, line {line}'
        row = _row(cells, where)
        if row.image in line_of_image:
            raise NetvladError(
                f'{where}: {row.image} was already named in line {line_of_image[row.image]}'
            )
        if rows and row.stamp_ns <= rows[-1].stamp_ns:
            raise NetvladError(
                f'{where}: timestamp {cells[1]} s is not after the one before, '
                f'{rows[-1].stamp_ns / 1e9:.9f} s; sort the file by time'
            )
        line_of_image[row.image] = line
        rows.append(row)
    if not rows:
        raise NetvladError(f'{path} names no image: it has a header and nothing else')
    return rows


def _row(cells: list[str], where: str) -> PoseRow:
    try:
        stamp_s = Decimal(cells[1])
        numbers = [float(cell) for cell in cells[2:]]
    except (InvalidOperation, ValueError) as error:
        raise NetvladError(f'{where}: "{",".join(cells[1:])[:120]}" has a non-number') from error
    if not stamp_s.is_finite() or not 0 <= stamp_s < MAX_STAMP_S:
        raise NetvladError(
            f'{where}: timestamp {cells[1][:40]} is not a time in seconds '
            f'between 0 and {MAX_STAMP_S}'
        )
    try:
        check_pose(numbers)
    except NetvladError as error:
        raise NetvladError(f'{where}: {error}') from error
    image = relative_image(cells[0], where)
    return PoseRow(image, round(stamp_s * 10**9), pose_matrix(numbers[:3], numbers[3:]))
