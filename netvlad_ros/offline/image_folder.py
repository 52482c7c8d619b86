"""The images below a folder, in one order everywhere."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIXES = frozenset(('.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.pgm', '.tif', '.tiff', '.webp'))


def image_names(folder: Path, *, below: str = '.') -> list[str]:
    """Names of all images in folder / below and deeper, relative to folder, sorted; no pixels read.

    A linked folder is entered (drives live on other disks), unless the link leads to one of its
    own parents, which would never end.
    """
    names: list[str] = []
    root = folder / below
    for where, folders, files in os.walk(root, followlinks=True):
        here = Path(where)
        folders[:] = [name for name in folders if not _loops(here / name)]
        names += [
            (here / file).relative_to(folder).as_posix()
            for file in files
            if Path(file).suffix.lower() in SUFFIXES
        ]
    return sorted(names)


def _loops(path: Path) -> bool:
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())
