"""`poses.csv`: which images a folder drive has, when they were taken, and from where."""

from __future__ import annotations

import io
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain
from netvlad_ros.core.geometry import Array, check_pose, pose_matrices
from netvlad_ros.offline.files.csv_file import MAX_FILE_BYTES, read_table
from netvlad_ros.offline.files.image_files import relative_image

HEADER = ('image', 'timestamp_s', 'x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')
MAX_STAMP_S = Decimal(2**31)  # a larger "second" is a nanosecond or junk
NEWLINE, COMMA = b'\n'[0], b','[0]
# In names between line breaks: what relative_image would refuse or write in another way.
DOTS = tuple(f'{a}{dots}{b}' for a in '\n/' for dots in ('.', '..') for b in '\n/')
UNUSUAL = ('\\', '\0', '//', '\n/', '/\n', '\n\n', *DOTS)


@dataclass(frozen=True, eq=False)
class PoseTable:
    """The lines of the file, in order.

    Attributes:
        images: (N,), path of each image, relative to the folder.
        stamps_ns: int64 (N,), when it was taken [ns].
        T_map_cam: float64 (N, 4, 4) [m], camera optical frame in the map frame.
    """

    images: tuple[str, ...]
    stamps_ns: NDArray[np.int64]
    T_map_cam: Array

    def __len__(self) -> int:
        return len(self.images)


def read_poses(path: Path) -> PoseTable:
    """Read every line. Raises NetvladError that names the broken line by its number."""
    table = _columns(read_plain(path, MAX_FILE_BYTES, str(path)))
    # Line by line, the first broken one is found; a file that is only unusual is read, too.
    return read_lines_of_poses(path) if table is None else table


def _columns(data: bytes) -> PoseTable | None:
    """The table of a file of the usual form, column by column: a million lines in two seconds.

    None where a line is broken, or where quotes, blanks or empty lines need a look at each line.
    """
    data = data.removeprefix(b'\xef\xbb\xbf').replace(b'\r\n', b'\n')
    header, _, body = data.partition(b'\n')
    if header != ','.join(HEADER).encode() or not body or b'"' in body or b'\r' in body:
        return None
    if not body.endswith(b'\n'):
        body += b'\n'
    letters = np.frombuffer(body, np.uint8)
    separators = letters[(letters == NEWLINE) | (letters == COMMA)]
    if len(separators) % len(HEADER):
        return None
    separators = separators.reshape(-1, len(HEADER))
    if (separators[:, :-1] != COMMA).any() or (separators[:, -1] != NEWLINE).any():
        return None
    try:
        cells = body.decode().replace('\n', ',').split(',')[:-1]
        images = tuple(cells[:: len(HEADER)])
        stamps_ns = _stamps_ns(cells[1 :: len(HEADER)])
        numbers = np.loadtxt(
            io.BytesIO(body),
            delimiter=',',
            comments=None,
            usecols=range(2, len(HEADER)),
            ndmin=2,
            encoding='utf-8',
        )
        T_map_cam = pose_matrices(numbers)
    except (ArithmeticError, ValueError, NetvladError):
        return None
    listed = '\n' + '\n'.join(images) + '\n'
    if any(part in listed for part in UNUSUAL) or len(set(images)) < len(images):
        return None
    if any(map(str.__ne__, images, map(str.strip, images))):
        return None
    if stamps_ns[0] < 0 or stamps_ns[-1] >= MAX_STAMP_S * 10**9 or (np.diff(stamps_ns) <= 0).any():
        return None
    return PoseTable(images, stamps_ns, T_map_cam)


def _stamps_ns(cells: list[str]) -> NDArray[np.int64]:
    """Seconds with decimals as whole nanoseconds, without the rounding of float64."""
    decimals = {len(cell) - cell.find('.') - 1 for cell in cells}
    if len(decimals) == 1 and all('.' in cell for cell in cells) and 0 < min(decimals) <= 9:
        digits = np.array([int(cell.replace('.', '')) for cell in cells], dtype=np.int64)
        return digits * 10 ** (9 - min(decimals))
    return np.array([round(Decimal(cell) * 10**9) for cell in cells], dtype=np.int64)


def read_lines_of_poses(path: Path) -> PoseTable:
    """The table of any file, line by line; errors as read_poses."""
    images: list[str] = []
    stamps_ns: list[int] = []
    poses: list[list[float]] = []
    line_of_image: dict[str, int] = {}
    for line, cells in read_table(path, HEADER):
        where = f'{path}, line {line}'
        image, stamp_ns, numbers = _row(cells, where)
        if image in line_of_image:
            raise NetvladError(f'{where}: {image} was already named in line {line_of_image[image]}')
        if stamps_ns and stamp_ns <= stamps_ns[-1]:
            raise NetvladError(
                f'{where}: timestamp {cells[1]} s is not after the one before, '
                f'{stamps_ns[-1] / 1e9:.9f} s; sort the file by time'
            )
        line_of_image[image] = line
        images.append(image)
        stamps_ns.append(stamp_ns)
        poses.append(numbers)
    if not images:
        raise NetvladError(f'{path} names no image: it has a header and nothing else')
    return PoseTable(
        tuple(images), np.array(stamps_ns, dtype=np.int64), pose_matrices(np.array(poses))
    )


def _row(cells: list[str], where: str) -> tuple[str, int, list[float]]:
    """Image, time [ns] and x, y, z, qx, qy, qz, qw of a line."""
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
    return relative_image(cells[0], where), round(stamp_s * 10**9), numbers
