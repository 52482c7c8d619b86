"""What several methods turn an image into, kept on disk while they are compared."""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 2**30  # beyond it, extractions are made anew
Arrays = tuple[NDArray[Any], ...]


class ExtractionCache:
    """Arrays made of an image, by its pixels and by what made them.

    A method that finds an extraction is charged what it cost at first. Time: the clock goes as if
    all were made anew. Memory: what other methods left is on disk, not in memory, and the first of
    each kind is made anew by every process.
    """

    def __init__(self, folder: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        """folder: None = nothing is kept. Processes may share one, one after the other."""
        self._folder = folder
        self._most_bytes = most_bytes
        self._bytes: int | None = None
        self._ahead_s = 0.0
        self._made: set[str] = set()  # kinds that this process has made once

    def clock(self) -> float:
        """Seconds [s] since some moment, as time.perf_counter tells them where nothing is kept."""
        return time.perf_counter() + self._ahead_s

    def of(self, kind: str, rgb: NDArray[np.uint8], make: Callable[[], Arrays]) -> Arrays:
        """What make() returns for rgb, uint8 (H, W, 3); kind names what makes it, with settings."""
        if self._folder is None:
            return make()
        began = time.perf_counter()
        digest = hashlib.sha256(f'{kind} {rgb.shape} '.encode() + rgb.tobytes()).hexdigest()
        path = self._folder / f'{digest}.npz'
        found = _read(path)
        if found is None:
            made = time.perf_counter()
            arrays = make()
            seconds = time.perf_counter() - made
            self._write(path, arrays, seconds)
        else:
            arrays, seconds = found
            if kind not in self._made:
                make()
        self._made.add(kind)
        self._ahead_s += seconds - (time.perf_counter() - began)
        return arrays

    def _write(self, path: Path, arrays: Arrays, seconds: float) -> None:
        if self._bytes is None:
            self._bytes = sum(file.stat().st_size for file in path.parent.iterdir())
        size = sum(array.nbytes for array in arrays)
        if self._bytes + size > self._most_bytes:
            return
        temporary = path.with_name(f'{path.stem}.{os.getpid()}.tmp')
        try:
            with temporary.open('wb') as file:
                np.savez(file, np.float64(seconds), *arrays)
            self._bytes += temporary.stat().st_size
            temporary.replace(path)
        except OSError:  # a disk that is full: then nothing more is kept
            temporary.unlink(missing_ok=True)
            self._most_bytes = 0


def _read(path: Path) -> tuple[Arrays, float] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            seconds, *arrays = (file[f'arr_{i}'] for i in range(len(file.files)))
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    return tuple(arrays), float(seconds)
