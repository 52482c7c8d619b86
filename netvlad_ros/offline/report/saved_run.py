"""An evaluation as its folder tells it: metrics.json and matches.csv, read back."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.acceptance_metrics import PrecisionRecall, precision_recall
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.report.match_table import HEADER
from netvlad_ros.offline.report.run_curves import MOST_RANKS, recall_curve
from netvlad_ros.offline.table_file import read_table

MAX_METRICS_BYTES = 2**26
_LEAST_DEPTH = 10


@dataclass(frozen=True, eq=False)
class SavedRun:
    """What two evaluations are compared by.

    figures: of metrics.json. images: names of the queries (Q,). found: (Q,), 1 where the best place
    is right, 0 where not, nan without an answer. recall: recall@1.., (depth,). curve: over the
    acceptance threshold. errors_m, errors_deg: (a,), of the accepted priors. Empty where unknown.
    """

    name: str
    figures: dict[str, Any]
    images: tuple[str, ...]
    found: Array
    recall: Array
    curve: PrecisionRecall
    errors_m: Array
    errors_deg: Array

    @classmethod
    def load(cls, folder: Path, name: str) -> SavedRun:
        """Read a folder that `netvlad eval --out` wrote. Raises NetvladError naming what is odd."""
        figures = _metrics(folder / 'metrics.json')
        path = folder / 'matches.csv'
        rows, images = [], []
        for line, cells in read_table(path, HEADER):
            row = dict(zip(HEADER, cells, strict=True))
            rows.append({name: _number(row[name], name, f'{path}, line {line}') for name in _READ})
            images.append(row['image'])
        if not rows:
            raise NetvladError(f'{path} has no query')
        judged = [row for row in rows if row['answerable'] is not None]
        ranked = [row['first_right_rank'] for row in judged]
        ranks = [None if rank is None else int(rank) for rank in ranked]
        depth = max([_LEAST_DEPTH, *(rank for rank in ranks if rank is not None)])
        answerable = sum(bool(row['answerable']) for row in judged)
        return cls(
            name=name,
            figures=figures,
            images=tuple(images),
            found=np.array(
                [row['first_right_rank'] == 1 if row['answerable'] else np.nan for row in rows]
            ),
            recall=recall_curve(ranks, answerable, min(depth, MOST_RANKS)),
            curve=_curve(rows, figures.get('answerable_places'), answerable),
            errors_m=_column(rows, 'error_m'),
            errors_deg=_column(rows, 'error_deg'),
        )


_READ = (
    *('answerable', 'first_right_rank', 'similarity', 'probability', 'shows_place'),
    *('error_m', 'error_deg'),
)
_Row = dict[str, float | None]


def _curve(rows: list[_Row], answerable_places: Any, answerable: int) -> PrecisionRecall:
    """Over the stated probability, or, where nothing was decided, the similarity of the best."""
    decided = [row for row in rows if None not in (row['probability'], row['shows_place'])]
    if decided:
        found = answerable_places if isinstance(answerable_places, int) else answerable
        return precision_recall(
            _column(decided, 'probability'), _column(decided, 'shows_place'), found
        )
    asked = [row for row in rows if row['similarity'] is not None]
    right = [row['first_right_rank'] == 1 for row in asked]
    return precision_recall(_column(asked, 'similarity'), right, answerable)


def _metrics(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_METRICS_BYTES:
            raise NetvladError(f'{path} is larger than {MAX_METRICS_BYTES} bytes')
        figures = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise NetvladError(
            f'{path} cannot be read ({error.strerror}); a run is a folder that '
            '`netvlad eval ... --out DIR` wrote'
        ) from error
    except (ValueError, RecursionError) as error:
        raise NetvladError(f'{path} is no JSON: {error}') from error
    if not isinstance(figures, dict):
        raise NetvladError(f'{path} must hold an object, it holds a {type(figures).__name__}')
    return figures


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
