"""The images below a folder, in one order everywhere."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from netvlad_ros.core.errors import NetvladError

SUFFIXES = frozenset(('.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.pgm', '.tif', '.tiff', '.webp'))


def image_names(folder: Path, *, below: str = '.') -> list[str]:
    """Names of all images in folder / below and deeper, relative to folder, sorted; no pixels read.

    A linked folder is entered (drives live on other disks), each folder once: links may run in
    circles. Names that begin with a dot are left out: what some systems leave beside each file
    (`._a.jpg`) is no image.
    """
    names: list[str] = []
    root = folder / below
    seen = {root.resolve()}
    for where, folders, files in os.walk(root, followlinks=True):
        here = Path(where)
        shown = sorted(name for name in folders if not name.startswith('.'))
        new = {name: (here / name).resolve() for name in shown}
        folders[:] = [name for name, real in new.items() if real not in seen]
        seen.update(new.values())
        names += [
            (here / file).relative_to(folder).as_posix()
            for file in files
            if Path(file).suffix.lower() in SUFFIXES and not file.startswith('.')
        ]
    return sorted(names)


def relative_image(name: str, where: str) -> str:
    """Check that an image's name stays inside its folder; the file may come from anyone.

    Only the words are looked at: an `images` folder that the user linked to another disk is fine.
    """
    path = PurePosixPath(name)
    inside = name and not path.is_absolute() and '..' not in path.parts
    if not inside or '\\' in name or '\0' in name or path == PurePosixPath('.'):
        raise NetvladError(f'{where}: image "{name[:120]}" is not a path inside the folder')
    return str(path)
