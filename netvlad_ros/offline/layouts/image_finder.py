"""Finds the images that a list names, and keeps account of those that are not there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.poses_file import relative_image
from netvlad_ros.offline.traverse import Skip


class ImageFinder:
    """Looks names up below a folder; each folder is listed once, not asked once an image."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.skipped: list[Skip] = []
        self._listed: dict[Path, frozenset[str]] = {}

    def find(self, *names: str) -> Path | None:
        """Path of the first of these names that exists; else None, and the first is skipped.

        Names are relative to the folder, with slashes; a list from elsewhere must not lead out.
        """
        for name in names:
            try:
                path = self.root / relative_image(name, str(self.root))
            except NetvladError:
                self.skip(name, f'outside the folder {self.root}')
                return None
            if self._exists(path):
                return path
        self.skip(names[0], f'the image does not exist below {self.root}')
        return None

    def skip(self, name: str, reason: str) -> None:
        """Count an image that is left out."""
        self.skipped.append(Skip(name[:120], reason))

    def _exists(self, path: Path) -> bool:
        folder = path.parent
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(os.listdir(folder))  # noqa: PTH208, names only
            except OSError:
                self._listed[folder] = frozenset()
        return path.name in self._listed[folder]


def existing_folder(root: Path, candidates: Sequence[str], names: Sequence[str]) -> Path:
    """The first of root's subfolders below which one of the names exists; root if none does."""
    for candidate in candidates:
        folder = root / candidate
        for name in names:
            path = PurePosixPath(name)
            if '..' not in path.parts and not path.is_absolute() and (folder / path).is_file():
                return folder
    return root
