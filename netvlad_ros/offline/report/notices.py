"""Sentences that a reader must know before the metrics of an evaluation."""

from __future__ import annotations

from netvlad_ros.offline.metrics.bootstrap import LEAST_BLOCKS
from netvlad_ros.offline.metrics.run_metrics import RunMetrics

NAMED = 5  # missing images
NO_SPREAD = 'no spread'  # of an interval without width


def notices(metrics: RunMetrics) -> list[str]:
    """Sentences on what makes metrics too good or incomparable; mostly none."""
    found = []
    if metrics.same_recording:
        found.append(
            'Queries and map are of the same recording: same light, same weather; '
            'another drive is harder.'
        )
    if metrics.both_sides:
        found.append(f'{metrics.both_sides} queries are images of the database themselves.')
    if metrics.identical_images:
        found.append(
            f'{metrics.identical_images} queries are described exactly as a place is: copies, or '
            'rendered images.'
        )
    missing = metrics.missing
    if missing:
        more = f' and {len(missing) - NAMED} more' if len(missing) > NAMED else ''
        names = ', '.join(missing[:NAMED])
        found.append(f'{len(missing)} images of the benchmark are missing: {names}{more}.')
    return found


def interval_words(metrics: RunMetrics) -> str:
    """How the intervals among the metrics were computed; '' if there are none."""
    if not metrics.single.intervals:
        return ''
    block = metrics.images_per_block or 0
    images = metrics.single.queries or 0
    drawn = 'of single queries, too narrow where these are neighbours on a drive'
    if block > 1:
        drawn = f'of blocks of {block} successive images, which are not independent'
        if images <= LEAST_BLOCKS * (block + 1):
            drawn += ', rather too narrow for so short a drive'
    return (
        f'Intervals: 95 % of repetitions with other queries of the kind, by a bootstrap {drawn}; '
        f'“{NO_SPREAD}”: all queries were alike, which says little where they are few.'
    )
