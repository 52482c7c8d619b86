"""PlaceImages: images to train on, and where and when they were taken."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.progress import Skip


@dataclass(frozen=True)
class PlaceImages:
    """Images of one source; index i names one image in every field.

    What a source does not know is None as a whole, or NaN (-1 for places) for single images.

    Attributes:
        name: of the source; unique among the sources of one training run.
        images: path of each image, N of them.
        recordings: (N,) str, the visit that an image belongs to: a drive, a clip, a date.
        areas: (N,) str. Positions are comparable within one area only; images of different areas
            surely show different places.
        positions_m: (N, 2) or (N, 3) float64, along the ground first, then up [m].
        headings_deg: (N,) float64, direction of view on the ground, counter-clockwise from the
            first axis of the position (east, where the axes have names) [deg].
        times_s: (N,) float64, comparable within one recording [s].
        places: (N,) int64, label of the place: images show the same place if and only if their
            labels are equal, or they are one of `pairs`.
        is_query, is_database: (N,) bool, on which side of a match an image may stand.
        apart: columns of (N,) str. Where there are some, an image surely shows another place only
            if it differs from the query in every one of them. The first is the coarsest: images
            that differ in it are elsewhere, though they may look similar (floors of a building).
        pairs: (P, 2) int64, indices of images of different labels that show the same place, each
            pair in both directions; None where labels are known completely. Two images that are
            paired with one and the same image may show the same place or not.
        skipped: images that were left out, and why.
        validation: the whole source is kept for validation.
        fitted: clusters and whitening may be fitted on it; not on rendered images.
        domain: fits, mining and validation give every domain the same weight; the name if empty.

    Raises:
        NetvladError: no image, or a field of another length.
    """

    name: str
    images: tuple[Path, ...]
    recordings: NDArray[np.str_]
    areas: NDArray[np.str_]
    positions_m: NDArray[np.float64] | None
    headings_deg: NDArray[np.float64] | None
    times_s: NDArray[np.float64] | None
    places: NDArray[np.int64] | None
    is_query: NDArray[np.bool_]
    is_database: NDArray[np.bool_]
    apart: tuple[NDArray[np.str_], ...] = ()
    pairs: NDArray[np.int64] | None = None
    skipped: tuple[Skip, ...] = ()
    validation: bool = False
    fitted: bool = True
    domain: str = ''

    def __post_init__(self) -> None:
        for item in fields(self):
            if item.name == 'pairs':
                continue
            value = getattr(self, item.name)
            for column in value if item.name == 'apart' else (value,):
                if isinstance(column, np.ndarray) and len(column) != len(self.images):
                    raise NetvladError(
                        f'source {self.name}: {item.name} has {len(column)} rows '
                        f'for {len(self.images)} images'
                    )

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)

    def subset(self, indices: NDArray[np.int64]) -> PlaceImages:
        """The images at indices (M,) int64, in that order."""
        changed: dict[str, Any] = {
            'images': tuple(self.images[i] for i in indices),
            'apart': tuple(column[indices] for column in self.apart),
        }
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray) and item.name != 'pairs':
                changed[item.name] = value[indices]
        if self.pairs is not None:
            place = np.full(len(self), -1, dtype=np.int64)
            place[indices] = np.arange(len(indices))
            pairs = place[self.pairs]
            changed['pairs'] = pairs[(pairs >= 0).all(axis=1)]
        return replace(self, **changed)
