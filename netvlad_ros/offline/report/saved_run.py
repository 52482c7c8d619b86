"""An evaluation as its folder tells it: metrics.json and matches.csv, read back."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.files.csv_file import read_table
from netvlad_ros.offline.metrics.acceptance import PrecisionRecall, precision_recall
from netvlad_ros.offline.metrics.accuracy import MOST_RANKS, recall_curve
from netvlad_ros.offline.metrics.bootstrap import LEAST_BLOCKS
from netvlad_ros.offline.metrics.intervals import IMAGES_PER_BLOCK
from netvlad_ros.offline.report.match_table import HEADER

MAX_METRICS_BYTES = 2**26
TRUE = ('true_x', 'true_y', 'true_z')
SAME_PLACE_M = 0.001
_LEAST_DEPTH = 10

Query = tuple[str, str, int]  # image and time stamp as matches.csv has them, and which of these
_Row = dict[str, float | None]


@dataclass(frozen=True, eq=False)
class SavedRun:
    """What two evaluations are compared by.

    metrics: of metrics.json, over all queries of the run. rows: of matches.csv, by query, in order.
    is_whole: whether all of them are left.
    """

    name: str
    metrics: dict[str, Any]
    rows: dict[Query, _Row]
    is_whole: bool = True

    @classmethod
    def load(cls, folder: Path, name: str) -> SavedRun:
        """Read a folder that `netvlad eval --out` wrote. Raises NetvladError naming what is odd."""
        metrics = _metrics(folder / 'metrics.json')
        path = folder / 'matches.csv'
        rows: dict[Query, _Row] = {}
        often: Counter[tuple[str, str]] = Counter()
        for line, cells in read_table(path, HEADER):
            row = dict(zip(HEADER, cells, strict=True))
            image, stamp = row['image'], row['timestamp_s']
            often[image, stamp] += 1  # one image may be asked for several things in it
            where = f'{path}, line {line}'
            rows[image, stamp, often[image, stamp]] = {
                name: _number(row[name], name, where) for name in _READ
            }
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
        return np.array(
            [
                float(row['first_right_rank'] == 1) if row['answerable'] else np.nan
                for row in self.rows.values()
            ]
        )

    @property
    def recall(self) -> Array:
        """recall@1.., (depth,); empty where nothing is answerable."""
        ranks = [row['first_right_rank'] for row in self.rows.values() if row['answerable']]
        known = [int(rank) for rank in ranks if rank is not None]
        depth = min(max([_LEAST_DEPTH, *known]), MOST_RANKS)
        return recall_curve(known, len(ranks), depth)

    @property
    def curve(self) -> PrecisionRecall:
        """Over the stated probability, or, if nothing was decided, the best place's similarity."""
        rows = list(self.rows.values())
        decided = [row for row in rows if None not in (row['probability'], row['shows_place'])]
        if decided:
            shows, answerable = (
                _column(decided, 'shows_place'),
                self.metrics.get('answerable_places'),
            )
            if not self.is_whole or not isinstance(answerable, int):
                answerable = sum(bool(row['answerable'] or row['shows_place']) for row in rows)
            return precision_recall(_column(decided, 'probability'), shows, answerable)
        asked = [row for row in rows if row['similarity'] is not None]
        right = [row['first_right_rank'] == 1 for row in asked]
        answerable = sum(bool(row['answerable']) for row in rows)
        return precision_recall(_column(asked, 'similarity'), right, answerable)

    @property
    def errors(self) -> tuple[Array, Array]:
        """Of the accepted priors, (a,) [m] and (a,) [deg]."""
        rows = list(self.rows.values())
        return _column(rows, 'error_m'), _column(rows, 'error_deg')

    @property
    def images_per_block(self) -> int:
        """In blocks of how many images the run's own intervals were drawn; 1 if it does not say.

        Fewer where LEAST_BLOCKS of them are not left.
        """
        block = self.metrics.get(IMAGES_PER_BLOCK)
        return max(1, min(block, len(self.rows) // LEAST_BLOCKS)) if isinstance(block, int) else 1

    def is_of_other_places(self, other: SavedRun) -> bool:
        """Whether queries of both were taken elsewhere in one than in the other [m]."""
        return any(
            mine is not None and its is not None and abs(mine - its) > SAME_PLACE_M
            for query in self.rows.keys() & other.rows.keys()
            for mine, its in ((self.rows[query][axis], other.rows[query][axis]) for axis in TRUE)
        )


_READ = (
    'answerable',
    'first_right_rank',
    'similarity',
    'probability',
    'shows_place',
    'error_m',
    'error_deg',
    *TRUE,
)


def _metrics(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_METRICS_BYTES:
            raise NetvladError(f'{path} is larger than {MAX_METRICS_BYTES} bytes')
        metrics = json.loads(
            path.read_text(encoding='utf-8'), parse_float=_finite, parse_constant=_finite
        )
    except OSError as error:
        raise NetvladError(
            f'{path} cannot be read ({error.strerror}); a run is a folder that '
            '`netvlad eval ... --out DIR` wrote'
        ) from error
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


def _column(rows: list[_Row], name: str) -> Array:
    return np.array([row[name] for row in rows if row[name] is not None], dtype=np.float64)
