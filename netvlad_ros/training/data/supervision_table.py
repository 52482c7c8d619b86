"""SupervisionTable: the images of all sources in columns, and Groups: rows with one code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.datasets.place_images import PlaceImages

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SupervisionTable:
    """Columns of N rows: the images of all sources, one source after the other.

    Attributes:
        images: N paths.
        file: (N,) int64; equal where two rows are one file.
        recordings: (N,) str, names.
        areas: (N,) str, names.
        recording: (N,) int64, codes of `recordings`.
        area: (N,) int64, codes of `areas`.
        positions: (N, 3) float64 [m]; NaN if unknown; the height is 0 if a source gives none.
        headings: (N,) float64 [deg]; NaN if unknown.
        times: (N,) float64 [s]; NaN if unknown.
        places: (N,) int64, codes of the labels, unique among sources; -1 if unknown.
        apart: (N, C) int64, C >= 1, codes of the columns `apart`; -1 if a source has none.
        pairs: (P, 2) int64, sorted rows: images of different labels that show the same place.
        domain: (N,) int64, codes of the domains of the sources.
        is_query: (N,) bool.
        is_database: (N,) bool.
    """

    images: tuple[Path, ...]
    file: Ints
    recordings: NDArray[np.str_]
    areas: NDArray[np.str_]
    recording: Ints
    area: Ints
    positions: Floats
    headings: Floats
    times: Floats
    places: Ints
    apart: Ints
    pairs: Ints
    domain: Ints
    is_query: NDArray[np.bool_]
    is_database: NDArray[np.bool_]

    @classmethod
    def of(cls, sources: Sequence[PlaceImages]) -> SupervisionTable:
        """Joins the sources, in their order."""
        count = sum(len(source) for source in sources)
        recordings = _texts([source.recordings for source in sources])
        areas = _texts([source.areas for source in sources])
        positions = np.full((count, 3), np.nan)
        headings, times = np.full(count, np.nan), np.full(count, np.nan)
        places = np.full(count, -1, dtype=np.int64)
        apart = np.full((count, max((len(s.apart) for s in sources), default=0) or 1), -1)
        pairs = [np.empty((0, 2), dtype=np.int64)]
        first = labels = 0
        for source in sources:
            rows = slice(first, first + len(source))
            if source.pairs is not None:
                pairs.append(source.pairs + first)
            first = rows.stop
            if source.positions_m is not None:
                positions[rows] = 0.0
                positions[rows, : source.positions_m.shape[1]] = source.positions_m
            if source.headings_deg is not None:
                headings[rows] = source.headings_deg
            if source.times_s is not None:
                times[rows] = source.times_s
            if source.places is not None:
                known, codes = np.unique(source.places, return_inverse=True)
                places[rows] = np.where(source.places >= 0, codes + labels, -1)
                labels += len(known)
        for column in range(apart.shape[1]):
            having = [s for s in sources if len(s.apart) > column]
            rows_having = np.repeat(
                [len(s.apart) > column for s in sources], list(map(len, sources))
            )
            if having:
                apart[rows_having, column] = _codes(_texts([s.apart[column] for s in having]))
        images = tuple(chain.from_iterable(source.images for source in sources))
        numbers: dict[Path, int] = {}
        return cls(
            images=images,
            file=np.array([numbers.setdefault(p, len(numbers)) for p in images], dtype=np.int64),
            recordings=recordings,
            areas=areas,
            recording=_codes(recordings),
            area=_codes(areas),
            positions=positions,
            headings=headings,
            times=times,
            places=places,
            apart=apart,
            pairs=np.concatenate(pairs),
            domain=_codes(
                np.repeat(
                    np.array([source.domain or source.name for source in sources], dtype=str),
                    list(map(len, sources)),
                )
            ),
            is_query=_flags([source.is_query for source in sources]),
            is_database=_flags([source.is_database for source in sources]),
        )


class Groups:
    """Rows that share a code.

    Args:
        codes: (N,) int64, of each row.
    """

    def __init__(self, codes: NDArray[np.int64]) -> None:
        self._order = np.argsort(codes, kind='stable')
        self._sorted = codes[self._order]

    def members(self, code: int) -> NDArray[np.int64]:
        """Rows with one code, (M,) int64, sorted; empty if no row has it."""
        first, last = np.searchsorted(self._sorted, [code, code + 1])
        return self._order[first:last]


def _texts(columns: list[NDArray[np.str_]]) -> NDArray[np.str_]:
    return np.concatenate([np.empty(0, dtype='U1'), *columns])


def _flags(columns: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return np.concatenate([np.empty(0, dtype=bool), *columns])


def _codes(names: NDArray[np.str_]) -> Ints:
    return np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.int64)
