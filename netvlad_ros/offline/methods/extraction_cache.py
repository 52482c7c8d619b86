"""ExtractionCache: extractions of images on disk, shared by methods that are compared."""

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

MOST_BYTES = 2**30  # beyond it, extractions are computed again
Arrays = tuple[NDArray[Any], ...]


class ExtractionCache:
    """Arrays extracted from images, stored by pixels and by kind of extraction.

    Measured costs are the same with and without the cache:
        Time: a stored extraction counts with the time that it took to compute.
        Memory: stored extractions are on disk only, and each process computes the first one of
            each kind itself.
    """

    def __init__(self, folder: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        """Use a folder.

        Args:
            folder: where extractions are stored; None = nothing is stored. Processes can use the
                same folder one after the other.
            most_bytes: beyond it, nothing more is stored.
        """
        self._folder = folder
        self._most_bytes = most_bytes
        self._bytes: int | None = None
        self._ahead_s = 0.0
        self._made: set[str] = set()  # kinds that this process has computed once

    def clock(self) -> float:
        """Time [s] as time.perf_counter would show it if nothing were stored."""
        return time.perf_counter() + self._ahead_s

    def of(self, kind: str, rgb: NDArray[np.uint8], make: Callable[[], Arrays]) -> Arrays:
        """The result of make() for an image.

        Args:
            kind: name of the extraction, with its settings.
            rgb: uint8 (H, W, 3).
            make: computes it.
        """
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
        except OSError:  # the disk is full: nothing more is stored
            temporary.unlink(missing_ok=True)
            self._most_bytes = 0


def _read(path: Path) -> tuple[Arrays, float] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            seconds, *arrays = (file[f'arr_{i}'] for i in range(len(file.files)))
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    return tuple(arrays), float(seconds)
