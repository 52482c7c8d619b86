"""Failure: the worst failures of an evaluation, which a report shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from netvlad_ros.core.geometry import distance_m
from netvlad_ros.offline.report.evaluated_run import EvaluatedQuery, EvaluatedRun

MOST = 24


@dataclass(frozen=True)
class Failure:
    """A query that was answered wrongly.

    Attributes:
        query: its row.
        retrieved: the best place.
        right: the right place; None if there is none.
        words: what happened.
    """

    query: int
    retrieved: int
    right: int | None
    words: str


def worst_failures(run: EvaluatedRun, most: int = MOST) -> tuple[list[Failure], int]:
    """Find accepted wrong answers, then missed right places; the most certain come first.

    An answer is wrong alone or in a sequence. Its certainty is its probability, else the similarity
    of the best candidate. Neighbouring queries fail for one reason: of len(queries) / (2 * most)
    successive queries only one is shown.

    Args:
        run: the evaluation.
        most: the largest number of failures.

    Returns:
        The failures, and how many there are in all.
    """
    failed = [i for i, query in enumerate(run.queries) if len(query.ranked) and _is_failure(query)]
    failed.sort(key=lambda i: _severity(run.queries[i]), reverse=True)
    apart = max(1, len(run.queries) // (2 * most))
    chosen: list[int] = []
    for row in failed:
        if len(chosen) < most and all(abs(row - other) >= apart for other in chosen):
            chosen.append(row)
    near = [sum(abs(row - other) < apart for other in failed) - 1 for row in chosen]
    return [_failure(run, row, more) for row, more in zip(chosen, near, strict=True)], len(failed)


def _is_failure(query: EvaluatedQuery) -> bool:
    return bool(query.wrong or query.sequence_wrong or _is_missed(query))


def _is_missed(query: EvaluatedQuery) -> bool:
    return bool(query.answerable) and query.first_right_rank != 1


def _severity(query: EvaluatedQuery) -> tuple[bool, bool, float, float]:
    return (
        bool(query.wrong),
        bool(query.sequence_wrong),
        query.probability or 0.0,
        query.similarity or 0.0,
    )


def _failure(run: EvaluatedRun, row: int, near: int) -> Failure:
    query = run.queries[row]
    words = []
    if query.wrong:
        words.append(f'accepted and wrong{_off(query.error_m)}')
    elif query.status:
        retrieval = 'wrong' if _is_missed(query) else 'right'
        words.append(f'retrieval is {retrieval}, the verdict is {query.status}')
    if query.sequence_wrong:
        words.append(f'accepted and wrong as a sequence{_off(query.sequence_error_m)}')
    if query.probability is not None and math.isfinite(query.probability):
        words.append(f'probability {query.probability:.3f}')
    if query.similarity is not None:
        words.append(f'similarity {query.similarity:.3f}')
    rank = query.first_right_rank
    if rank is not None:
        words.append(f'the right place comes at rank {rank}')
    elif query.answerable:
        words.append(f'no right place among the first {len(query.ranked)}')
    elif query.answerable is False:
        words.append('the map has no right place')
    if query.reason:
        words.append(query.reason)
    if near:
        words.append(f'{near} more {"failures" if near > 1 else "failure"} nearby')
    return Failure(row, int(query.ranked[0]), _right_place(run, query), '; '.join(words))


def _off(error_m: float | None) -> str:
    if error_m is None:
        return ''
    return f', {error_m:{".0f" if error_m >= 100 else ".3g"}} m off'


def _right_place(run: EvaluatedRun, query: EvaluatedQuery) -> int | None:
    """The right place nearest to the truth, or the first one where there are no poses."""
    if query.right is None or not len(query.right):
        return None
    right = np.asarray(query.right, dtype=np.int64)
    if run.T_places is None or query.T_true is None:
        return int(right[0])
    return int(right[np.argmin(distance_m(run.T_places[right], query.T_true))])
