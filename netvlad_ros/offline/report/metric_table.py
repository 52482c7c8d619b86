"""Metrics as rows of text: headlines, and tables of all metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netvlad_ros.offline.metrics.intervals import INTERVALS, Ends
from netvlad_ros.offline.metrics.run_metrics import ModeMetrics, Number
from netvlad_ros.offline.report.notices import NO_SPREAD

_DEEPEST = 8  # no evaluation nests its metrics deeper


@dataclass(frozen=True)
class Headline:
    """A metric that matters most, as text.

    Attributes:
        name: what it is.
        value: the number.
        interval: of 95 %; '' if there is none.
    """

    name: str
    value: str
    interval: str


def flat(metrics: Mapping[str, Any], prefix: str = '') -> dict[str, str]:
    """Name -> text, of nested metrics; lists (diagrams) are left to the pictures."""
    rows: dict[str, str] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            rows |= flat(value, f'{prefix}{name}: ') if prefix.count(': ') < _DEEPEST else {}
        elif prefix == f'{INTERVALS}: ' or not isinstance(value, list):
            rows[prefix + name] = words(value)
    return rows


def words(value: Any) -> str:
    """A metric as text; two numbers are a range."""
    if value is None:
        return '–'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, list):
        return '–'.join(map(words, value))
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def side_by_side(columns: list[Mapping[str, Any]]) -> list[list[str]]:
    """One row for each metric, with its name and the text of every column."""
    flattened = [flat(column) for column in columns]
    names = list(dict.fromkeys(name for column in flattened for name in column))
    return [[name, *(column.get(name, '–') for column in flattened)] for name in names]


def summary(metrics: ModeMetrics) -> dict[str, str]:
    """The headlines by name, with their intervals in brackets."""
    return {
        line.name: f'{line.value} [{line.interval}]' if line.interval else line.value
        for line in headlines(metrics)
    }


def headlines(metrics: ModeMetrics) -> list[Headline]:
    """The few metrics that matter most; those that the evaluation has."""
    intervals = metrics.intervals
    found = [
        _headline(f'recall@{n}', share, intervals.get(f'recall@{n}'))
        for n, share in metrics.recall.items()
    ]
    for part, mean in metrics.average_precision.items():
        name = 'mean average precision' + (f', {part}' if part != 'all' else '')
        found.append(_headline(name, mean, metrics.average_precision_intervals[part]))
    found += [
        _headline('queries', metrics.queries),
        _headline('of them answerable', metrics.answerable),
        _headline('accepted', metrics.accepted),
        _headline('share accepted', metrics.accepted_share, intervals.get('accepted_share')),
        _headline('accepted and wrong', metrics.accepted_wrong),
        _headline('right, of the accepted', metrics.precision, intervals.get('precision')),
        _headline(
            'median position error [m]', metrics.median_error_m, intervals.get('median_error_m')
        ),
        _headline(
            'median rotation error [deg]',
            metrics.median_error_deg,
            intervals.get('median_error_deg'),
        ),
        _headline('published recall@1 of NetVLAD [%]', metrics.published_recall_at_1),
        _headline('published mAP of NetVLAD [%]', metrics.published_map),
        _headline('images left out', metrics.skipped),
    ]
    return [line for line in found if line.value != words(None)]


def _headline(name: str, value: Number | None, ends: Ends | None = None) -> Headline:
    if ends is None:
        return Headline(name, words(value), '')
    low, high = ends
    return Headline(name, words(value), f'{low:.3f}–{high:.3f}' if low < high else NO_SPREAD)
