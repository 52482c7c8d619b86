"""What a reader must know of an evaluation before its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netvlad_ros.offline.metrics.bootstrap import LEAST_BLOCKS
from netvlad_ros.offline.metrics.intervals import IMAGES_PER_BLOCK, INTERVALS

NAMED = 5  # missing images
NO_SPREAD = 'no spread'  # of an interval without width


def notices(metrics: Mapping[str, Any]) -> list[str]:
    """Sentences on what makes metrics too good or incomparable; mostly none. metrics: JSON."""
    found = []
    if metrics.get('same_recording') is True:
        found.append(
            'Queries and map are of the same recording: same light, same weather; '
            'another drive is harder.'
        )
    both = _count(metrics, 'both_sides')
    if both:
        found.append(f'{both} queries are images of the database themselves.')
    identical = _count(metrics, 'identical_images')
    if identical:
        found.append(
            f'{identical} queries are described exactly as a place is: copies, or rendered images.'
        )
    missing = metrics.get('missing')
    if isinstance(missing, list) and missing:
        more = f' and {len(missing) - NAMED} more' if len(missing) > NAMED else ''
        names = ', '.join(str(name) for name in missing[:NAMED])
        found.append(f'{len(missing)} images of the benchmark are missing: {names}{more}.')
    return found


def interval_words(metrics: Mapping[str, Any]) -> str:
    """How the intervals among the metrics came about, or nothing."""
    if not metrics.get(INTERVALS):
        return ''
    block = _count(metrics, IMAGES_PER_BLOCK)
    images = _count(metrics, 'queries') or _count(metrics, 'images')
    drawn = 'of single queries, too narrow where these are neighbours on a drive'
    if block > 1:
        drawn = f'of blocks of {block} successive images, which are not independent'
        if images <= LEAST_BLOCKS * (block + 1):
            drawn += ', rather too narrow for so short a drive'
    return (
        f'Intervals: 95 % of repetitions with other queries of the kind, by a bootstrap {drawn}; '
        f'“{NO_SPREAD}”: all queries were alike, which says little where they are few.'
    )


def _count(metrics: Mapping[str, Any], name: str) -> int:
    value = metrics.get(name)
    return value if isinstance(value, int) else 0
