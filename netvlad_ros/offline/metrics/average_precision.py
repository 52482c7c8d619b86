"""Mean average precision and precision@k of ranked lists, as in image retrieval."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array

Rows = NDArray[np.int64]


RowSet = Collection[int] | Rows


Kind = Literal['trapezoid', 'rectangle']


DIFFICULTIES = ('easy', 'medium', 'hard')


@dataclass(frozen=True, eq=False)
class RetrievalScore:
    """The scores of Q queries; those without positives are NaN and left out of the means.

    Attributes:
        average_precision: (Q,), in 0..1.
        precision_at: k -> (Q,), in 0..1.
    """

    average_precision: Array
    precision_at: dict[int, Array]

    @property
    def queries(self) -> int:
        """Count the queries, with positives or without."""
        return len(self.average_precision)

    @property
    def answerable(self) -> int:
        """Count the queries that have positives: the means are over these."""
        return int(np.isfinite(self.average_precision).sum())

    @property
    def mean_average_precision(self) -> float | None:
        """mAP in 0..1; None if no query is answerable."""
        return _mean(self.average_precision)

    @property
    def mean_precision_at(self) -> dict[int, float | None]:
        """mP@k in 0..1; None if no query is answerable."""
        return {k: _mean(values) for k, values in self.precision_at.items()}


def average_precision(
    ranked: Sequence[int] | Rows,
    positives: RowSet,
    junk: RowSet = (),
    *,
    kind: Kind = 'trapezoid',
) -> float:
    """Area below precision over recall of one ranking, in 0..1; NaN without positives.

    Args:
        ranked: database rows, best first; negative = none.
        positives: the right rows. One that is not ranked counts as never found.
        junk: rows that are taken out before ranks are counted.
        kind: 'trapezoid' joins the points with lines, beginning at precision 1; 'rectangle' is the
            mean of the precisions at the positives, as in text retrieval and scikit-learn.

    Raises:
        NetvladError: an image is ranked twice, or kind is another.

    Source:
        Trapezoid: compute_ap.cpp of the Oxford buildings (Philbin et al., CVPR 2007), the
        evaluation of Holidays, and the revisited protocol.
    """
    return _area(*_found(ranked, positives, junk), kind)


def precision_at(
    ranked: Sequence[int] | Rows, positives: RowSet, junk: RowSet = (), *, k: int
) -> float:
    """Share of positives among the first k, or until the last positive if that comes earlier.

    A query with three positives can thus reach 1 at k = 10. NaN without positives. Raises
    NetvladError as average_precision.

    Source:
        mP@k of the revisited protocol, Radenovic et al., CVPR 2018.
    """
    return _share(*_found(ranked, positives, junk), k)


def score_rankings(
    ranked: Sequence[Sequence[int]] | Sequence[Rows] | Rows,
    positives: Sequence[RowSet],
    junk: Sequence[RowSet] = (),
    *,
    kind: Kind = 'trapezoid',
    ks: Sequence[int] = (1, 5, 10),
) -> RetrievalScore:
    """Score the rankings of Q queries.

    Args:
        ranked: (Q,), database rows of each query, best first.
        positives: (Q,), right rows of each query.
        junk: (Q,), rows of each query that do not count; () = none for all.
        kind: see average_precision.
        ks: of precision@k.

    Raises:
        NetvladError: as average_precision, or the three do not agree in number.
    """
    ignored = list(junk) or [()] * len(positives)
    if not len(ranked) == len(positives) == len(ignored):
        raise NetvladError(
            f'{len(ranked)} rankings come with {len(positives)} sets of positives and '
            f'{len(ignored)} of junk'
        )
    found = [_found(*query) for query in zip(ranked, positives, ignored, strict=True)]
    return RetrievalScore(
        np.array([_area(*each, kind) for each in found], dtype=np.float64),
        {k: np.array([_share(*each, k) for each in found], dtype=np.float64) for k in ks},
    )


def mean_average_precision(
    ranked: Sequence[Sequence[int]] | Sequence[Rows] | Rows,
    positives: Sequence[RowSet],
    junk: Sequence[RowSet] = (),
    *,
    kind: Kind = 'trapezoid',
) -> float | None:
    """mAP of score_rankings only."""
    return score_rankings(ranked, positives, junk, kind=kind, ks=()).mean_average_precision


def revisited(
    ranked: Sequence[Sequence[int]] | Sequence[Rows] | Rows,
    easy: Sequence[RowSet],
    hard: Sequence[RowSet],
    junk: Sequence[RowSet],
    *,
    ks: Sequence[int] = (1, 5, 10),
) -> dict[str, RetrievalScore]:
    """Score by the three revisited protocols, by name of DIFFICULTIES.

    Easy: the easy images are right, the hard ones junk. Medium: both are right. Hard: the hard
    images are right, the easy ones junk. Queries without positives are left out of the means, so
    the three are over different queries.

    Source:
        Radenovic et al., CVPR 2018, section 3.
    """
    both = [_union(a, b) for a, b in zip(easy, hard, strict=True)]
    with_hard = [_union(a, b) for a, b in zip(junk, hard, strict=True)]
    with_easy = [_union(a, b) for a, b in zip(junk, easy, strict=True)]
    return {
        'easy': score_rankings(ranked, easy, with_hard, ks=ks),
        'medium': score_rankings(ranked, both, junk, ks=ks),
        'hard': score_rankings(ranked, hard, with_easy, ks=ks),
    }


def _found(ranked: Sequence[int] | Rows, positives: RowSet, junk: RowSet) -> tuple[Rows, int]:
    """Ranks of the listed positives, from 0, as if there were no junk; and how many there are."""
    listed = np.asarray(ranked, dtype=np.int64)
    listed = listed[listed >= 0]
    if len(np.unique(listed)) < len(listed):
        raise NetvladError('a ranking lists an image twice, so its precision means nothing')
    wanted = _rows(positives)
    listed = listed[~np.isin(listed, _rows(junk))]
    return np.flatnonzero(np.isin(listed, wanted)), len(wanted)


def _area(rank: Rows, wanted: int, kind: Kind) -> float:
    found = np.arange(1, len(rank) + 1)
    precision = found / (rank + 1)
    if kind == 'trapezoid':
        before = np.where(rank > 0, (found - 1) / np.maximum(rank, 1), 1.0)
        precision = (before + precision) / 2
    elif kind != 'rectangle':
        raise NetvladError(f'average precision is "trapezoid" or "rectangle", not "{kind}"')
    return float(precision.sum() / wanted) if wanted else float('nan')


def _share(rank: Rows, wanted: int, k: int) -> float:
    depth = min(k, int(rank[-1]) + 1) if wanted and len(rank) == wanted else k
    return float(np.count_nonzero(rank < depth) / depth) if wanted else float('nan')


def _rows(rows: RowSet) -> Rows:
    return np.unique(np.fromiter(rows, dtype=np.int64))


def _union(first: RowSet, second: RowSet) -> Rows:
    return np.union1d(_rows(first), _rows(second))


def _mean(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
