"""SavedRun: an evaluation read back from its folder, metrics.json and matches.csv."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain
from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.files.csv_file import read_table
from netvlad_ros.offline.metrics.acceptance import PrecisionRecall, precision_recall
from netvlad_ros.offline.metrics.accuracy import MOST_RANKS, recall_curve
from netvlad_ros.offline.metrics.bootstrap import LEAST_BLOCKS
from netvlad_ros.offline.metrics.run_metrics import RunMetrics
from netvlad_ros.offline.report.match_table import HEADER

MAX_METRICS_BYTES = 2**26
SAME_PLACE_M = 0.001
_LEAST_DEPTH = 10

Query = tuple[str, str, int]  # image and time stamp as in matches.csv, and which of these


@dataclass(frozen=True)
class SavedQuery:
    """One line of matches.csv; None where its cell is empty.

    Attributes:
        answerable: 1 if the map has a right place, else 0.
        first_right_rank: rank of the first right place, 1 = best.
        similarity: of the best place.
        probability: that the estimate shows the right place.
        shows_place: 1 if it does, else 0.
        error_m: position error of the accepted prior [m].
        error_deg: rotation error of the accepted prior [deg].
        true_x: true position in the map frame [m].
        true_y: the same.
        true_z: the same.
    """

    answerable: float | None
    first_right_rank: float | None
    similarity: float | None
    probability: float | None
    shows_place: float | None
    error_m: float | None
    error_deg: float | None
    true_x: float | None
    true_y: float | None
    true_z: float | None

    @classmethod
    def read(cls, row: Mapping[str, str], where: str) -> SavedQuery:
        """Read the cells of a line by name. Raises NetvladError, which begins with `where`."""
        return cls(
            **{
                name: _number(row[name], name, where)
                for name in (entry.name for entry in fields(cls))
            }
        )

    def is_elsewhere(self, other: SavedQuery) -> bool:
        """Whether both have a true position, and these differ."""
        pairs = (
            (self.true_x, other.true_x),
            (self.true_y, other.true_y),
            (self.true_z, other.true_z),
        )
        return any(
            mine is not None and its is not None and abs(mine - its) > SAME_PLACE_M
            for mine, its in pairs
        )


@dataclass(frozen=True, eq=False)
class SavedRun:
    """What two evaluations are compared by.

    Attributes:
        name: of the run.
        metrics: of metrics.json, over all queries of the run.
        rows: of matches.csv, by query, in order.
        is_whole: whether all of the rows are left.
    """

    name: str
    metrics: RunMetrics
    rows: dict[Query, SavedQuery]
    is_whole: bool = True

    @classmethod
    def load(cls, folder: Path, name: str) -> SavedRun:
        """Read a folder that `netvlad eval --out` wrote. Raises NetvladError naming what is odd."""
        metrics = RunMetrics.from_json(_read_metrics(folder / 'metrics.json'))
        path = folder / 'matches.csv'
        rows: dict[Query, SavedQuery] = {}
        often: Counter[tuple[str, str]] = Counter()
        for line, cells in read_table(path, HEADER):
            row = dict(zip(HEADER, cells, strict=True))
            image, stamp = row['image'], row['timestamp_s']
            often[image, stamp] += 1  # several queries may be parts of one image
            rows[image, stamp, often[image, stamp]] = SavedQuery.read(row, f'{path}, line {line}')
        if not rows:
            raise NetvladError(f'{path} has no query')
        return cls(name, metrics, rows)

    def only(self, queries: Sequence[Query]) -> SavedRun:
        """The same run without any other query, in the order of these."""
        rows = {query: self.rows[query] for query in queries}
        return replace(self, rows=rows, is_whole=len(rows) == len(self.rows))

    @property
    def found(self) -> Array:
        """(Q,), 1 where the best place is right, 0 where not, NaN without an answer."""
        return np.array([
            float(row.first_right_rank == 1) if row.answerable else np.nan
            for row in self.rows.values()
        ])  # fmt: skip

    @property
    def recall(self) -> Array:
        """recall@1.., (depth,); empty where nothing is answerable."""
        ranks = [row.first_right_rank for row in self.rows.values() if row.answerable]
        known = [int(rank) for rank in ranks if rank is not None]
        depth = min(max([_LEAST_DEPTH, *known]), MOST_RANKS)
        return recall_curve(known, len(ranks), depth)

    @property
    def curve(self) -> PrecisionRecall:
        """Over the stated probability, or, if nothing was decided, the best place's similarity."""
        rows = list(self.rows.values())
        decided = [
            (row.probability, row.shows_place)
            for row in rows
            if row.probability is not None and row.shows_place is not None
        ]
        if decided:
            answerable = self.metrics.answerable_places
            if not self.is_whole or answerable is None:
                answerable = sum(bool(row.answerable or row.shows_place) for row in rows)
            probability, shows_place = zip(*decided, strict=True)
            return precision_recall(probability, shows_place, answerable)
        asked = [row for row in rows if row.similarity is not None]
        right = [row.first_right_rank == 1 for row in asked]
        answerable = sum(bool(row.answerable) for row in rows)
        return precision_recall(_known(row.similarity for row in asked), right, answerable)

    @property
    def errors(self) -> tuple[Array, Array]:
        """Of the accepted priors, (a,) [m] and (a,) [deg]."""
        rows = self.rows.values()
        return _known(row.error_m for row in rows), _known(row.error_deg for row in rows)

    @property
    def images_per_block(self) -> int:
        """In blocks of how many images the run's own intervals were drawn; 1 if it does not say.

        Fewer if the rows are too few for LEAST_BLOCKS of them.
        """
        block = self.metrics.images_per_block
        return 1 if block is None else max(1, min(block, len(self.rows) // LEAST_BLOCKS))

    def is_of_other_places(self, other: SavedRun) -> bool:
        """Whether queries of both were taken elsewhere in one than in the other [m]."""
        return any(
            self.rows[query].is_elsewhere(other.rows[query])
            for query in self.rows.keys() & other.rows.keys()
        )


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        data = read_plain(path, MAX_METRICS_BYTES, str(path))
    except NetvladError as error:
        raise NetvladError(
            f'{path} cannot be read ({error}); a run is a folder that '
            '`netvlad eval ... --out DIR` wrote'
        ) from error
    try:
        metrics = json.loads(data.decode(), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise NetvladError(f'{path} is no JSON: {error}') from error
    if not isinstance(metrics, dict):
        raise NetvladError(f'{path} must hold an object, it holds a {type(metrics).__name__}')
    return metrics


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f'it holds {text[:40]}')
    return value


def _number(text: str, name: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise NetvladError(f"{where}: {name} is '{text[:40]}', no number") from error
    if not math.isfinite(value) or (name == 'first_right_rank' and not 1 <= value <= 1e12):
        raise NetvladError(f'{where}: {name} is {text[:40]}, which cannot be')
    return value


def _known(values: Iterable[float | None]) -> Array:
    return np.array([value for value in values if value is not None], dtype=np.float64)
