"""A matplotlib figure as a PNG that appears whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from netvlad_ros.core.files import write_whole


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure. Raises NetvladError if that fails."""
    data = io.BytesIO()
    figure.savefig(data, format='png', dpi=110)
    write_whole(path, data.getvalue())
