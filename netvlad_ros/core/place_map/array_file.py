"""Arrays in .npy files: written in pieces, checked by hash, and mapped into memory."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError

PIECE_BYTES = 2**24  # read or written at once
MAX_HEADER_BYTES = 2**10


def write_array(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    """Write an array, which may be mapped and larger than memory.

    Returns:
        Its entry in `map.yaml`: `bytes`, the size of the file, and `sha256`, its hash in hex.
    """
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    digest = hashlib.sha256(header.getvalue())
    rows = max(PIECE_BYTES // max(array[:1].nbytes, 1), 1)
    with path.open('wb') as file:
        file.write(header.getvalue())
        for start in range(0, len(array), rows):
            piece = np.ascontiguousarray(array[start : start + rows])
            digest.update(piece.data)
            file.write(piece.data)
        return {'bytes': file.tell(), 'sha256': digest.hexdigest()}


def map_array(
    path: Path, entry: Any, dtype: Any, shape: tuple[int, ...], where: str
) -> NDArray[Any]:
    """Map an array into memory, read-only, after its size, header and hash were checked.

    Args:
        path: the .npy file.
        entry: its entry in `map.yaml`, see write_array.
        dtype: type that the array must have.
        shape: shape that the array must have.
        where: name of the map in errors.

    Raises:
        NetvladError: the file is missing, cannot be read, or is not what the entry says.
    """
    try:
        if not isinstance(entry, dict) or type(entry.get('bytes')) is not int:
            raise NetvladError(f'{where} does not give size and hash of {path.name}')
        if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
            raise NetvladError(
                f'{where}: {path.name} is missing or no plain file; build the map again'
            )
        _check(path, entry, np.dtype(dtype), shape, where)
        if 0 in shape:  # nothing to map
            return np.empty(shape, dtype)
        return np.asarray(np.load(path, mmap_mode='r', allow_pickle=False))
    except OSError as error:
        raise NetvladError(f'{where}: {path.name} cannot be read: {error.strerror}') from error


def parse_array(data: bytes, where: str) -> NDArray[Any]:
    """Array in the bytes of a .npy file, as a view of them.

    Args:
        data: the file.
        where: name of the file in errors.

    Raises:
        NetvladError: the data is no .npy file of numbers, or of another size than its header says.
    """
    file = io.BytesIO(data)
    try:
        shape, column_order, dtype = _read_header(file)
        if dtype.hasobject:
            raise ValueError('it holds no numbers')
        numbers = np.frombuffer(data, dtype, offset=file.tell())
        return numbers.reshape(shape, order='F' if column_order else 'C')
    except Exception as error:  # NumPy reads the header as Python, and raises anything on others
        raise NetvladError(f'{where} is no array file; build it again') from error


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns lie together, and type of a .npy file; raises anything on others."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError('it is of another version')
    shape, column_order, dtype = np.lib.format.read_array_header_1_0(file, MAX_HEADER_BYTES)
    return shape, bool(column_order), dtype


def _check(
    path: Path, entry: dict[str, Any], dtype: np.dtype[Any], shape: tuple[int, ...], where: str
) -> None:
    size = path.stat().st_size
    with path.open('rb') as file:
        digest = hashlib.sha256()
        if size == entry['bytes']:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
        if digest.hexdigest() != entry.get('sha256'):
            raise NetvladError(
                f'{where}: {path.name} was changed or damaged since the map was built '
                '(size or hash differs); restore it or build the map again'
            )
        file.seek(0)
        try:
            found: object = _read_header(file)
        except Exception:  # NumPy reads the header as Python, and raises anything on others
            found = None
        expected = file.tell() + int(dtype.itemsize) * int(np.prod([1, *shape], dtype=object))
        if found != (shape, False, dtype) or size != expected:
            raise NetvladError(
                f'{where}: {path.name} is no array of {dtype} {shape}, as the map promises; '
                'build the map again'
            )
