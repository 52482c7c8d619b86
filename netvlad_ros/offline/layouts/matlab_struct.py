"""One struct of a MATLAB file from elsewhere."""

from __future__ import annotations

import struct as binary
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from netvlad_ros.core.errors import NetvladError

MAX_FILE_BYTES = 256 * 2**20
MAX_UNPACKED_BYTES = 2**30  # the longest of the field's lists take some tens of megabytes
HEADER_BYTES, COMPRESSED, BLOCK = 128, 15, 2**20


def read_matlab_struct(path: Path, name: str) -> dict[str, Any]:
    """Fields of the 1 x 1 struct `name` in a .mat of version 5 to 7 (cells: object arrays).

    Such files hold arrays only, never code. Sizes are checked before memory is taken.

    Raises:
        NetvladError: unreadable, version 7.3, too large, or without such a struct.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise NetvladError(f'{path} is larger than {MAX_FILE_BYTES} bytes')
        with path.open('rb') as file:
            start = file.read(HEADER_BYTES)
        if start.startswith(b'\x89HDF') or b'MATLAB 7.3' in start:
            raise NetvladError(
                f"{path} is of MATLAB's version 7.3; save it again with save(..., '-v7')"
            )
        _check_unpacked_size(path)
        found = loadmat(path, variable_names=[name])
    except OSError as error:
        raise NetvladError(f'{path} cannot be read: {error.strerror}') from error
    except NetvladError:
        raise
    except Exception as error:  # the parser raises whatever broken bytes lead it to
        raise NetvladError(f'{path} is not a readable .mat file of version 5 to 7') from error
    value = found.get(name)
    if not isinstance(value, np.ndarray) or value.dtype.names is None or value.size != 1:
        raise NetvladError(f'{path} holds no struct {name}')
    item = value.ravel()[0]
    return {field: item[field] for field in value.dtype.names}


def _check_unpacked_size(path: Path) -> None:
    """A compressed element may be a thousand times its size once unpacked."""
    data = path.read_bytes()
    order = '<' if data[126:128] == b'IM' else '>'
    place, unpacked = HEADER_BYTES, 0
    while place + 8 <= len(data):
        kind, size = binary.unpack_from(order + 'II', data, place)
        place += 8
        if kind == COMPRESSED:
            stream = zlib.decompressobj()
            rest = data[place : place + size]
            while rest and unpacked <= MAX_UNPACKED_BYTES:
                unpacked += len(stream.decompress(rest, BLOCK))
                rest = stream.unconsumed_tail
        else:
            unpacked += min(size, len(data) - place)
        if unpacked > MAX_UNPACKED_BYTES:
            raise NetvladError(f'{path} unpacks to more than {MAX_UNPACKED_BYTES} bytes')
        place += size
