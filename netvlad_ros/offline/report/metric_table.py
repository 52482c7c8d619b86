"""Metrics as rows of words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netvlad_ros.offline.metrics.intervals import INTERVALS
from netvlad_ros.offline.report.notices import NO_SPREAD

_DEEPEST = 8  # what lies deeper is no figure of an evaluation


@dataclass(frozen=True)
class Headline:
    """A figure that matters most, in words; interval: of 95 %, '' where there is none."""

    name: str
    value: str
    interval: str


def flat(metrics: Mapping[str, Any], prefix: str = '') -> dict[str, str]:
    """Name -> words, of nested metrics; lists (diagrams) are left to the pictures."""
    rows: dict[str, str] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            rows |= flat(value, f'{prefix}{name}: ') if prefix.count(': ') < _DEEPEST else {}
        elif prefix == f'{INTERVALS}: ' or not isinstance(value, list):
            rows[prefix + name] = words(value)
    return rows


def words(value: Any) -> str:
    """A figure as people read it; of two numbers: from where to where."""
    if value is None:
        return '–'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, list):
        return '–'.join(map(words, value))
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def side_by_side(columns: list[Mapping[str, Any]]) -> list[list[str]]:
    """One row for each figure, with its name and the words of every column."""
    flattened = [flat(column) for column in columns]
    names = list(dict.fromkeys(name for column in flattened for name in column))
    return [[name, *(column.get(name, '–') for column in flattened)] for name in names]


def summary(metrics: Mapping[str, Any]) -> dict[str, str]:
    """The headlines by name, with their intervals in brackets."""
    return {
        line.name: f'{line.value} [{line.interval}]' if line.interval else line.value
        for line in headlines(metrics)
    }


def headlines(metrics: Mapping[str, Any]) -> list[Headline]:
    """The few metrics that matter most; those that the evaluation has."""
    intervals = _mapping(metrics, INTERVALS)
    found = [
        _headline(f'recall@{n}', share, intervals.get(f'recall@{n}'))
        for n, share in _mapping(metrics, 'recall').items()
    ]
    for part, scores in _mapping(metrics, 'retrieval').items():
        if isinstance(scores, Mapping):
            name = 'mean average precision' + (f', {part}' if part != 'all' else '')
            ends = [_mapping(scores, 'interval').get(end) for end in ('low', 'high')]
            found.append(_headline(name, scores.get('mean_average_precision'), ends))
    found += [
        _headline('queries', metrics.get('queries', metrics.get('images'))),
        _headline('of them answerable', metrics.get('answerable')),
        _headline('accepted', metrics.get('accepted')),
        _headline('share accepted', *_with_interval(metrics, 'accepted_share')),
        _headline('accepted and wrong', metrics.get('accepted_wrong')),
        _headline('right, of the accepted', *_with_interval(metrics, 'precision')),
    ]
    for unit, key in (('position error [m]', 'error_m'), ('rotation error [deg]', 'error_deg')):
        median = _mapping(metrics, f'pose_{key}').get('median')
        found.append(_headline(f'median {unit}', median, intervals.get(f'median_{key}')))
    found += [
        _headline('published recall@1 of NetVLAD [%]', metrics.get('published_recall_at_1')),
        _headline('published mAP of NetVLAD [%]', metrics.get('published_map')),
        _headline('images left out', metrics.get('skipped')),
    ]
    return [line for line in found if line.value != words(None)]


def _headline(name: str, value: Any, interval: Any = None) -> Headline:
    match interval:
        case [float(low), float(high)]:
            shown = f'{low:.3f}–{high:.3f}' if low < high else NO_SPREAD
            return Headline(name, words(value), shown)
    return Headline(name, words(value), '')


def _with_interval(metrics: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    return metrics.get(name), _mapping(metrics, INTERVALS).get(name)


def _mapping(metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a run of elsewhere holds under a name may be anything."""
    value = metrics.get(name)
    return value if isinstance(value, Mapping) else {}
