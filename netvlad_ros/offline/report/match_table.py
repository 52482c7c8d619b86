"""`matches.csv`: the answer to each query, one row each."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from netvlad_ros.core.geometry import Array, pose_vector
from netvlad_ros.offline.report.evaluated_run import EvaluatedQuery, EvaluatedRun
from netvlad_ros.offline.report.safe_text import cell

_POSE = ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')
HEADER = (
    'image',
    'timestamp_s',
    *(f'true_{part}' for part in _POSE),
    'answerable',
    'best_place',
    'best_image',
    'similarity',
    'first_right_rank',
    'probability',
    'shows_place',
    'status',
    'reason',
    *(f'prior_{part}' for part in _POSE),
    'prior_method',
    'error_m',
    'error_deg',
    'wrong',
    'sequence_status',
    'sequence_probability',
    'sequence_wrong',
    'sequence_error_m',
    'sequence_error_deg',
)


def match_table(run: EvaluatedRun) -> bytes:
    """Write all queries as CSV, UTF-8.

    Unknown values are empty cells; there is no NaN. Poses are those of the camera optical frame in
    the map frame [m], quaternion xyzw. The best candidate has rank 1. Yes and no are 1 and 0.
    """
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(HEADER)
    writer.writerows(_row(query, run.places) for query in run.queries)
    return text.getvalue().encode('utf-8')


def _row(query: EvaluatedQuery, places: Sequence[str]) -> Iterable[str]:
    best = int(query.ranked[0]) if len(query.ranked) else None
    seconds = '' if query.stamp_ns is None else _seconds(query.stamp_ns)
    return (
        cell(query.image),
        seconds,
        *_pose(query.T_true),
        _number(query.answerable),
        _number(best),
        '' if best is None else cell(places[best]),
        _number(query.similarity),
        _number(query.first_right_rank),
        _number(query.probability),
        _number(query.shows_place),
        cell(query.status),
        cell(query.reason),
        *_pose(query.T_prior),
        cell(query.method),
        _number(query.error_m),
        _number(query.error_deg),
        _number(query.wrong),
        cell(query.sequence_status),
        _number(query.sequence_probability),
        _number(query.sequence_wrong),
        _number(query.sequence_error_m),
        _number(query.sequence_error_deg),
    )


def _pose(T: Array | None) -> list[str]:
    return [''] * 7 if T is None else [_number(float(value)) for value in pose_vector(T)]


def _seconds(stamp_ns: int) -> str:
    """Exact text, as a float cannot hold the nanoseconds of a wall clock."""
    sign = '-' if stamp_ns < 0 else ''
    return f'{sign}{abs(stamp_ns) // 10**9}.{abs(stamp_ns) % 10**9:09d}'


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ''
    return str(int(value)) if isinstance(value, int) else f'{value:.9g}'
