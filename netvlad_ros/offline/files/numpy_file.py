"""Reader of .npy files that runs no code, whatever a file holds."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import open_plain
from netvlad_ros.offline.files.safe_pickle import MAX_BYTES as MAX_PICKLE_BYTES, parse_plain_pickle

MAX_BYTES = 2**28
MAX_HEADER_BYTES = 2**14
# What NumPy's reader raises on a damaged header, which it parses as Python text.
BROKEN = (ValueError, EOFError, SyntaxError, TypeError, OverflowError, MemoryError, TokenError)


def read_plain_array(path: Path, otherwise: str) -> NDArray[Any]:
    """Read a .npy of numbers, or of plain Python values, which lie in it as a pickle.

    Args:
        path: the file.
        otherwise: what to do instead, as a clause for the errors.

    Raises:
        NetvladError: the file is unreadable, too large, no .npy, of another shape than its header
            says, or it has a pickle that asks for code or is damaged (see parse_plain_pickle).
    """
    try:
        with _opened(path, otherwise) as file:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if read is None:
                raise ValueError(f'version {version}')
            shape, _, dtype = read(file, MAX_HEADER_BYTES)
            pickled = file.read(MAX_PICKLE_BYTES + 1) if dtype.hasobject else None
        if pickled is not None:
            return _objects(pickled, shape, path, otherwise)
        # A mapped file that is too small for its shape is refused before memory is taken.
        return np.array(np.load(path, mmap_mode='r', allow_pickle=False))
    except OSError as error:
        raise NetvladError(f'{path} cannot be read: {error.strerror}; {otherwise}') from error
    except BROKEN as error:
        raise NetvladError(f'{path} is no readable .npy; {otherwise}') from error


def _opened(path: Path, otherwise: str) -> BinaryIO:
    try:
        return open_plain(path, MAX_BYTES, str(path))
    except NetvladError as error:
        raise NetvladError(f'{error}; {otherwise}') from error


def _objects(
    pickled: bytes, shape: tuple[int, ...], path: Path, otherwise: str
) -> NDArray[np.object_]:
    if len(pickled) > MAX_PICKLE_BYTES:
        raise NetvladError(
            f'{path}: its Python values are larger than {MAX_PICKLE_BYTES} bytes; {otherwise}'
        )
    try:
        found = parse_plain_pickle(pickled, str(path))
    except NetvladError as error:
        raise NetvladError(f'{error}; {otherwise}') from error
    if not isinstance(found, np.ndarray) or found.dtype != object or found.shape != shape:
        raise NetvladError(f'{path} holds another array than its header tells; {otherwise}')
    return found
