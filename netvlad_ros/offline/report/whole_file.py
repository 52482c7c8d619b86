"""A file that appears whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from netvlad_ros.core.errors import NetvladError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file. Raises NetvladError if that fails."""
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise NetvladError(f'{path} cannot be written: {error.strerror}') from error
    finally:
        temporary.unlink(missing_ok=True)
