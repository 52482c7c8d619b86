"""Images below a folder; names in lists, found safely."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.progress import Skip

SUFFIXES = frozenset(('.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.pgm', '.tif', '.tiff', '.webp'))


def image_names(folder: Path, *, below: str = '.') -> list[str]:
    """Names of all images in folder / below and deeper, relative to folder, sorted; no pixels read.

    Linked folders are entered, because drives may lie on other disks. Each folder is entered once,
    because links may form circles. Names that begin with a dot are left out: some systems leave
    such files beside images (`._a.jpg`).
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
    """Check that an image's name stays inside its folder; the list may come from anyone.

    Only the name is checked: an `images` folder that the user linked to another disk is allowed.
    """
    path = PurePosixPath(name)
    inside = name and not path.is_absolute() and '..' not in path.parts
    if not inside or '\\' in name or '\0' in name or path == PurePosixPath('.'):
        raise NetvladError(f'{where}: image "{name[:120]}" is not a path inside the folder')
    return str(path)


class ImageFinder:
    """Looks names up below a folder; each folder is listed once, not once an image."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.skipped: list[Skip] = []
        self._listed: dict[Path, dict[str, str | None]] = {}

    def find(self, *names: str) -> Path | None:
        """Path of the first of these names that exists; else None, and the first is skipped.

        Names are relative to the folder, with slashes or backslashes, and must not lead out of it.
        Copies of a dataset often have other spellings: if no file has the name, a file is taken
        that differs only in case (a.JPG) or in the kind of image (a.png), if there is just one.
        """
        for name in names:
            try:
                path = self.root / relative_image(name.replace('\\', '/'), str(self.root))
            except NetvladError:
                self.skip(name, f'outside the folder {self.root}')
                return None
            found = self._spelling(path)
            if found is not None:
                return path.with_name(found)
        self.skip(names[0], f'the image does not exist below {self.root}')
        return None

    def skip(self, name: str, reason: str) -> None:
        """Count an image that is left out."""
        self.skipped.append(Skip(name[:120], reason))

    def _spelling(self, path: Path) -> str | None:
        folder = path.parent
        if folder not in self._listed:
            self._listed[folder] = _spellings(folder)
        listed = self._listed[folder]
        if listed.get(path.name) == path.name:
            return path.name
        # Keys of other spellings hold a slash, which no name does.
        name = path.name.lower()
        return listed.get(f'/{name}') or listed.get(f'/{PurePosixPath(name).stem}/')


def _spellings(folder: Path) -> dict[str, str | None]:
    """Each file by name; by `/name` and, if an image, `/stem/` in lower case; None = several."""
    try:
        names = os.listdir(folder)  # noqa: PTH208, names only
    except OSError:
        return {}
    found: dict[str, str | None] = {name: name for name in names}
    for name in names:
        low = PurePosixPath(name.lower())
        keys = [f'/{low}', f'/{low.stem}/'] if low.suffix in SUFFIXES else [f'/{low}']
        for key in keys if not name.startswith('.') else ():
            found[key] = None if key in found else name
    return found


def existing_folder(root: Path, candidates: Sequence[str], names: Sequence[str]) -> Path:
    """The first of root's subfolders in which one of the names exists; root if there is none."""
    for candidate in candidates:
        finder = ImageFinder(root / candidate)
        if any(finder.find(name) for name in names):
            return finder.root
    return root
