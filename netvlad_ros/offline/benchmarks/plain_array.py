"""A NumPy file from elsewhere: numbers only, nothing in it is run."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError

MAX_BYTES = 2**28
MAX_HEADER_BYTES = 2**14
# What NumPy's reader lets through of a damaged header, which is parsed as Python's text.
BROKEN = (ValueError, EOFError, SyntaxError, TypeError, OverflowError, MemoryError, TokenError)


def read_plain_array(path: Path, otherwise: str) -> NDArray[Any]:
    """Read a .npy of numbers. otherwise: what to do instead, a clause for the errors.

    Raises:
        NetvladError: unreadable, too large, no .npy, or an array of Python objects: those are
            pickles, and reading one runs what its author wrote.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise NetvladError(f'{path} is larger than {MAX_BYTES} bytes')
        with path.open('rb') as file:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if read is None:
                raise ValueError(f'version {version}')
            _, _, dtype = read(file, MAX_HEADER_BYTES)
        if dtype.hasobject:
            raise NetvladError(
                f'{path} holds Python objects, and reading those would run whatever its author '
                f'put there; {otherwise}'
            )
        # Mapped, a shape that the file does not back is refused before memory is taken.
        return np.array(np.load(path, mmap_mode='r', allow_pickle=False))
    except OSError as error:
        raise NetvladError(f'{path} cannot be read: {error.strerror}') from error
    except BROKEN as error:
        raise NetvladError(f'{path} is no readable .npy; {otherwise}') from error
