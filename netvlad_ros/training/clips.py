"""Clips: short recordings without poses, where time says which frames show one place."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netvlad_ros.core.errors import NetvladError

_COLUMNS = ('image', 'floor', 'area', 'clip', 'frame_1hz')


@dataclass(frozen=True)
class ClipSet:
    """Frames of many clips; index i names one frame in all fields.

    Attributes:
        images: path of each frame.
        clips: name of each frame's recording, (N,) str.
        seconds: time within its clip [s], (N,) float64.
        floors, areas: where it was recorded, (N,) str. Floors of one building look alike: a frame
            of the same area on another floor is no sure negative, nor is one of another area on
            the same floor, since two areas may see the same hall.
    """

    images: tuple[Path, ...]
    clips: np.ndarray
    seconds: np.ndarray
    floors: np.ndarray
    areas: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> ClipSet:
        """Reads `frames.csv` (image, floor, area, clip, frame_1hz) of a folder.

        Raises:
            NetvladError: no such file, a missing column, a broken line (named by its number), an
                image outside the folder or absent.
        """
        table = folder / 'frames.csv'
        try:
            with table.open(newline='', encoding='utf-8') as file:
                reader = csv.DictReader(file)
                missing = [c for c in _COLUMNS if c not in (reader.fieldnames or ())]
                rows = list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise NetvladError(f'{table}: cannot be read as a table of clips ({error})') from error
        if missing:
            raise NetvladError(f'{table}: column {missing[0]} is missing; needs {_COLUMNS}')
        root = folder.resolve()
        images, seconds = [], []
        for line, row in enumerate(rows, start=2):
            image = root / (row['image'] or '')
            if not image.resolve().is_relative_to(root):
                raise NetvladError(
                    f'{table}, line {line}: image {row["image"]} lies outside {folder}'
                )
            if not image.is_file():
                raise NetvladError(f'{table}, line {line}: image {row["image"]} does not exist')
            try:
                seconds.append(float(row['frame_1hz']))
            except (TypeError, ValueError) as error:
                raise NetvladError(f'{table}, line {line}: frame_1hz is not a number') from error
            if not np.isfinite(seconds[-1]):
                raise NetvladError(f'{table}, line {line}: frame_1hz is not finite')
            images.append(image)
        if not images:
            raise NetvladError(f'{table}: holds no frames')
        floors, areas, clips = (
            np.array([row[column] for row in rows], dtype=str)
            for column in ('floor', 'area', 'clip')
        )
        return cls(tuple(images), clips, np.array(seconds), floors, areas)

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: np.ndarray) -> ClipSet:
        """The frames at indices (M,) int64, in that order."""
        return ClipSet(
            tuple(self.images[i] for i in indices),
            self.clips[indices],
            self.seconds[indices],
            self.floors[indices],
            self.areas[indices],
        )

    def split(self, held_out_floors: tuple[str, ...]) -> tuple[ClipSet, ClipSet]:
        """(training, held out): whole floors are held out, so that no place is on both sides.

        Raises:
            NetvladError: a floor that does not exist, or one side is empty.
        """
        unknown = sorted(set(held_out_floors) - set(self.floors.tolist()))
        if unknown:
            raise NetvladError(f'held_out_floors names {unknown[0]!r}, which has no frames')
        held = np.isin(self.floors, held_out_floors)
        if held.all() or not held.any():
            raise NetvladError('held_out_floors must leave floors on both sides: some, not all')
        return self.subset(np.flatnonzero(~held)), self.subset(np.flatnonzero(held))

    def positives(self, query: int, gap_s: tuple[float, float]) -> np.ndarray:
        """Frames of the query's clip whose time differs by gap_s [s], ends included; (P,) int64."""
        gap = np.abs(self.seconds - self.seconds[query])
        near = (gap >= gap_s[0]) & (gap <= gap_s[1]) & (self.clips == self.clips[query])
        near[query] = False
        return np.flatnonzero(near)

    def negatives(self, query: int) -> np.ndarray:
        """Frames that surely show another place: other floor and other area; (M,) int64."""
        return np.flatnonzero(
            (self.floors != self.floors[query]) & (self.areas != self.areas[query])
        )
