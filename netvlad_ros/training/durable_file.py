"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_durably(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a temporary file, brings it to the disk and gives it its name.

    A crash, a full disk or a killed process leaves the file that was there before, or none.

    Raises:
        OSError: from the system, such as a full disk; nothing is left behind.
    """
    temporary = path.with_name(f'.{path.name}.tmp')
    try:
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)  # the name, too, must survive a power cut
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
