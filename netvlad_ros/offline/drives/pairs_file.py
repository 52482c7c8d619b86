"""pairs.csv: which images show the same place."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.files.csv_file import read_table
from netvlad_ros.offline.files.image_files import relative_image

HEADER = ['query', 'db']


def read_pairs(path: Path) -> dict[str, set[str]]:
    """Read query -> names of its right images. Raises NetvladError naming a broken line."""
    positives: dict[str, set[str]] = defaultdict(set)
    for line, cells in read_table(path, HEADER):
        query, db = (relative_image(cell, f'{path}, line {line}') for cell in cells)
        positives[query].add(db)
    if not positives:
        raise NetvladError(f'{path} names no pair')
    return dict(positives)
