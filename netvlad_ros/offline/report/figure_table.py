"""Figures as rows of words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(figures: Mapping[str, Any], prefix: str = '') -> dict[str, str]:
    """Name -> words, of nested figures; lists (diagrams) are left to the pictures."""
    rows: dict[str, str] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            rows |= flat(value, f'{prefix}{name}: ')
        elif not isinstance(value, list):
            rows[prefix + name] = words(value)
    return rows


def words(value: Any) -> str:
    """A figure as people read it."""
    if value is None:
        return '–'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def side_by_side(columns: list[Mapping[str, Any]]) -> list[list[str]]:
    """One row for each figure, with its name and the words of every column."""
    flattened = [flat(column) for column in columns]
    names = list(dict.fromkeys(name for column in flattened for name in column))
    return [[name, *(column.get(name, '–') for column in flattened)] for name in names]


def summary(figures: Mapping[str, Any]) -> dict[str, str]:
    """The few figures that matter most, by name; those that the evaluation has."""
    chosen = {
        **{f'recall@{n}': share for n, share in (figures.get('recall') or {}).items()},
        **_interval(figures),
        'answerable queries': figures.get('answerable'),
        'accepted': figures.get('accepted'),
        'accepted and wrong': figures.get('accepted_wrong'),
        'median position error [m]': (figures.get('pose_error_m') or {}).get('median'),
        'median rotation error [deg]': (figures.get('pose_error_deg') or {}).get('median'),
        'images left out': figures.get('skipped'),
    }
    return {name: words(value) for name, value in chosen.items() if value is not None}


def _interval(figures: Mapping[str, Any]) -> dict[str, str]:
    interval = figures.get('recall_at_1_interval')
    return {} if not interval else {'recall@1, 95 %': '{:.3f}–{:.3f}'.format(*interval)}
