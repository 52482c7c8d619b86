"""NumberedImages: the database or the queries of a benchmark, numbered as its ground truth does.

Some ground truth names images by number only. A missing image therefore keeps its number, without
a path. assembly.py removes missing images at the end and renumbers the ground truth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.loader import DatasetInfo
from netvlad_ros.offline.files.image_files import SUFFIXES, ImageFinder, image_names

MAX_NUMBERS = 2**22  # bounds the memory that a number in an unknown file name can ask for
NUMBERED = re.compile(r'(.*?)([0-9]{1,18})(\.[^.]+)')


@dataclass(frozen=True)
class NumberedImages:
    """N images, numbered 0 to N-1, missing ones included.

    Attributes:
        names: of each image.
        paths: of each image; None = missing on disk.
    """

    names: tuple[str, ...]
    paths: tuple[Path | None, ...]

    def __len__(self) -> int:
        """Count the images, missing ones included."""
        return len(self.names)

    def missing(self) -> tuple[str, ...]:
        """Names of the images that are missing on disk."""
        return tuple(n for n, p in zip(self.names, self.paths, strict=True) if p is None)

    def then(self, other: NumberedImages) -> NumberedImages:
        """These images, then those of the other."""
        return NumberedImages(self.names + other.names, self.paths + other.paths)


def named_images(root: Path, names: Iterable[str]) -> NumberedImages:
    """One image for each name, relative to root; missing if it leads out of root or is no image."""
    finder, listed = ImageFinder(root), tuple(names)
    are_images = [PurePosixPath(name).suffix.lower() in SUFFIXES for name in listed]
    return NumberedImages(
        listed,
        tuple(
            finder.find(name) if is_image else None
            for name, is_image in zip(listed, are_images, strict=True)
        ),
    )


def images_by_number(*folders: Path) -> tuple[NumberedImages, ...]:
    """The images of each folder, where equal numbers in the names mean the same place.

    Numbers count from the lowest number in the names of all folders to the highest.

    Raises:
        NetvladError: a name ends in no number, or two images of a folder have the same one.
    """
    found = [_numbered(folder) for folder in folders]
    numbers = [number for names in found for number in names]
    if not numbers:
        return tuple(NumberedImages((), ()) for _ in folders)
    low, high = min(numbers), max(numbers)
    if high - low >= MAX_NUMBERS:
        raise NetvladError(
            f'{folders[0]}: images are numbered from {low} to {high}; '
            f'at most {MAX_NUMBERS} can be read'
        )
    return tuple(
        _in_line(folder, names, range(low, high + 1))
        for folder, names in zip(folders, found, strict=True)
    )


def images_from_zero(folder: Path) -> NumberedImages:
    """The images of a folder whose names are numbered from 0.

    Raises:
        NetvladError: as images_by_number.
    """
    names = _numbered(folder)
    if max(names, default=0) >= MAX_NUMBERS:
        raise NetvladError(
            f'{folder}: an image has number {max(names)}; at most {MAX_NUMBERS} can be read'
        )
    return _in_line(folder, names, range(max(names, default=-1) + 1))


def counted_images(folder: Path, count: int, dataset: DatasetInfo) -> NumberedImages:
    """The images of a folder, numbered in natural order of their names.

    Args:
        folder: where the images are.
        count: how many were published. If there are fewer, the numbers in the names must show
            which ones are missing.
        dataset: its title, for errors.

    Raises:
        NetvladError: no folder, more images, or fewer and it is unknown which ones are missing.
    """
    names = sorted(image_names(dataset.folder(folder)), key=natural)
    if len(names) == count:
        return NumberedImages(_below(folder, names), tuple(folder / name for name in names))
    parts = [NUMBERED.fullmatch(name) for name in names]
    numbers = [int(part.group(2)) for part in parts if part]
    steps = [b - a for a, b in pairwise(numbers)]
    step = min(steps, default=0)
    if len(names) < count and len(numbers) == len(names) and step > 0:
        line = range(numbers[0], numbers[-1] + 1, step)
        if len(line) == count and all(number in line for number in numbers):
            return _in_line(folder, dict(zip(numbers, names, strict=True)), line)
    raise NetvladError(
        f'{folder} holds {len(names)} images; {dataset.title} has {count} there, and the ground '
        'truth counts them: the names do not tell which ones are missing, so nothing can be '
        'judged'
    )


def images_of_rows(folder: Path, rows: range, dataset: DatasetInfo) -> NumberedImages:
    """The images of a folder that belong to the given rows of a table.

    As published, 130.png belongs to row 130. If the names are no such numbers, the images are
    taken in natural order.

    Raises:
        NetvladError: as counted_images.
    """
    names = image_names(dataset.folder(folder))
    stems = [PurePosixPath(name).stem for name in names]
    if names and all(re.fullmatch(r'[0-9]{1,18}', stem) and int(stem) in rows for stem in stems):
        return _in_line(folder, _numbered(folder), rows)
    return counted_images(folder, len(rows), dataset)


def natural(name: str) -> list[int | str]:
    """Sort key that puts 2 before 10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r'([0-9]+)', name))]


def _numbered(folder: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for name in image_names(folder):
        part = NUMBERED.fullmatch(name)
        if not part:
            raise NetvladError(
                f'{folder / name}: its name ends in no number, so it has no place in the sequence'
            )
        number = int(part.group(2))
        if number in found:
            raise NetvladError(
                f'{folder}: {found[number]} and {name} have the same number; '
                'one sequence is expected there'
            )
        found[number] = name
    return found


def _in_line(folder: Path, names: dict[int, str], numbers: range) -> NumberedImages:
    pattern = NUMBERED.fullmatch(next(iter(names.values()), ''))
    before, digits, after = pattern.groups() if pattern else ('', '', '')
    line = [names.get(number, f'{before}{number:0{len(digits)}d}{after}') for number in numbers]
    return NumberedImages(
        _below(folder, line),
        tuple(folder / names[number] if number in names else None for number in numbers),
    )


def _below(folder: Path, names: list[str]) -> tuple[str, ...]:
    return tuple(f'{folder.name}/{name}' for name in names)
