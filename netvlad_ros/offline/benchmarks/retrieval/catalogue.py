"""LabelledQuery and Catalogue: benchmarks whose ground truth names images; images on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Box, Rows
from netvlad_ros.offline.files.image_files import image_names

VGG = 'the Visual Geometry Group, University of Oxford'
IMAGE_FOLDERS = ('jpg', 'images', 'oxbuild_images', 'paris')  # else the root itself


@dataclass(frozen=True)
class LabelledQuery:
    """A query and the images that a person labelled for it, by name.

    All names are without folder and suffix.

    Attributes:
        image: its own name.
        box: x0, y0, x1, y1 [px] of the object that is searched; None = the whole image.
        easy: right images; all of them if the benchmark does not distinguish easy and hard.
        hard: right images that are hard to recognise.
        junk: images that count neither way.
    """

    image: str
    box: Box | None
    easy: frozenset[str]
    hard: frozenset[str]
    junk: frozenset[str]


class Catalogue:
    """The listed images that are on disk, in the order of the list, and their rows."""

    def __init__(self, listed: Iterable[str], on_disk: Mapping[str, Path]) -> None:
        present = [name for name in dict.fromkeys(listed) if name in on_disk]
        self.paths = tuple(on_disk[name] for name in present)
        self._row = {name: row for row, name in enumerate(present)}

    def rows(self, names: Iterable[str]) -> Rows:
        """Ascending rows of those names that are on disk."""
        found = [self._row[name] for name in names if name in self._row]
        return np.array(sorted(found), dtype=np.int64)


def images_on_disk(root: Path) -> dict[str, Path]:
    """Path of every image, by name without suffix.

    Images are searched below the first of IMAGE_FOLDERS that exists in root, else below root.

    Raises:
        NetvladError: root is no folder or holds no image, or two images have one name.
    """
    if not root.is_dir():
        raise NetvladError(f'{root} is not a folder')
    folder = next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), root)
    found: dict[str, Path] = {}
    for name in image_names(folder):
        stem = PurePosixPath(name).stem
        if stem in found:
            raise NetvladError(
                f'two images are called {stem}: {found[stem]} and {folder / name}; keep one'
            )
        found[stem] = folder / name
    if not found:
        raise NetvladError(f'{folder} holds no images')
    return found


def missing_images(named: Iterable[str], on_disk: Mapping[str, Path]) -> tuple[str, ...]:
    """The names that are not on disk, sorted, each once."""
    return tuple(sorted(set(named) - on_disk.keys()))


def present_queries(
    queries: Iterable[LabelledQuery], on_disk: Mapping[str, Path], root: Path
) -> list[LabelledQuery]:
    """The queries whose image is on disk.

    Raises:
        NetvladError: there is none.
    """
    found = [query for query in queries if query.image in on_disk]
    if not found:
        raise NetvladError(
            f'{root}: not one query image of the ground truth is among the {len(on_disk)} images'
        )
    return found
