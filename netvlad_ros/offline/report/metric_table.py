"""Figures as rows of words."""

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


def flat(figures: Mapping[str, Any], prefix: str = '') -> dict[str, str]:
    """Name -> words, of nested figures; lists (diagrams) are left to the pictures."""
    rows: dict[str, str] = {}
    for name, value in figures.items():
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


def summary(figures: Mapping[str, Any]) -> dict[str, str]:
    """The headlines by name, with their intervals in brackets."""
    return {
        line.name: f'{line.value} [{line.interval}]' if line.interval else line.value
        for line in headlines(figures)
    }


def headlines(figures: Mapping[str, Any]) -> list[Headline]:
    """The few figures that matter most; those that the evaluation has."""
    intervals = _mapping(figures, INTERVALS)
    found = [
        _headline(f'recall@{n}', share, intervals.get(f'recall@{n}'))
        for n, share in _mapping(figures, 'recall').items()
    ]
    for part, scores in _mapping(figures, 'retrieval').items():
        if isinstance(scores, Mapping):
            name = 'mean average precision' + (f', {part}' if part != 'all' else '')
            ends = [_mapping(scores, 'interval').get(end) for end in ('low', 'high')]
            found.append(_headline(name, scores.get('mean_average_precision'), ends))
    found += [
        _headline('queries', figures.get('queries', figures.get('images'))),
        _headline('of them answerable', figures.get('answerable')),
        _headline('accepted', figures.get('accepted')),
        _headline('share accepted', *_with_interval(figures, 'accepted_share')),
        _headline('accepted and wrong', figures.get('accepted_wrong')),
        _headline('right, of the accepted', *_with_interval(figures, 'precision')),
    ]
    for unit, key in (('position error [m]', 'error_m'), ('rotation error [deg]', 'error_deg')):
        median = _mapping(figures, f'pose_{key}').get('median')
        found.append(_headline(f'median {unit}', median, intervals.get(f'median_{key}')))
    found += [
        _headline('published recall@1 of NetVLAD [%]', figures.get('published_recall_at_1')),
        _headline('published mAP of NetVLAD [%]', figures.get('published_map')),
        _headline('images left out', figures.get('skipped')),
    ]
    return [line for line in found if line.value != words(None)]


def _headline(name: str, value: Any, interval: Any = None) -> Headline:
    match interval:
        case [float(low), float(high)]:
            shown = f'{low:.3f}–{high:.3f}' if low < high else NO_SPREAD
            return Headline(name, words(value), shown)
    return Headline(name, words(value), '')


def _with_interval(figures: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    return figures.get(name), _mapping(figures, INTERVALS).get(name)


def _mapping(figures: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a run of elsewhere holds under a name may be anything."""
    value = figures.get(name)
    return value if isinstance(value, Mapping) else {}
