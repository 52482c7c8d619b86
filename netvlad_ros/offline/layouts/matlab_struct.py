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
        check_unpacked_size(path, MAX_UNPACKED_BYTES)
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


def check_unpacked_size(path: Path, limit: int) -> None:
    """A compressed element may be a thousand times its size once unpacked; counts, keeps nothing.

    Raises:
        NetvladError: all elements together have more than limit bytes.
        OSError, zlib.error: path cannot be read, or is damaged.
    """
    size, unpacked = path.stat().st_size, 0
    with path.open('rb') as file:
        order = '<' if file.read(HEADER_BYTES)[126:] == b'IM' else '>'
        while file.tell() + 8 <= size:
            kind, length = binary.unpack(order + 'II', file.read(8))
            end = min(file.tell() + length, size)
            stream = zlib.decompressobj()
            while file.tell() < end and unpacked <= limit:
                if kind != COMPRESSED:
                    unpacked += end - file.tell()
                    break
                rest = file.read(min(BLOCK, end - file.tell()))
                while rest and unpacked <= limit:
                    unpacked += len(stream.decompress(rest, BLOCK))
                    rest = stream.unconsumed_tail
            if unpacked > limit:
                raise NetvladError(f'{path} unpacks to more than {limit} bytes')
            file.seek(end)
