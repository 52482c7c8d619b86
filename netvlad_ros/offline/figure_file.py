"""A matplotlib figure as a PNG that appears whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path

from matplotlib.figure import Figure

from netvlad_ros.core.errors import NetvladError


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure. Raises NetvladError if that fails."""
    data = io.BytesIO()
    figure.savefig(data, format='png', dpi=110)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        temporary.write_bytes(data.getvalue())
        temporary.replace(path)
    except OSError as error:
        raise NetvladError(f'{path} cannot be written: {error.strerror}') from error
    finally:
        temporary.unlink(missing_ok=True)
