"""RunMetrics: what reports read in the metrics of an evaluation, from its JSON.

This is the only reader of metrics.json. A file from elsewhere may hold anything under any name;
what has an unexpected type counts as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netvlad_ros.offline.metrics.intervals import IMAGES_PER_BLOCK, INTERVALS, Ends

Number = int | float


@dataclass(frozen=True)
class ModeMetrics:
    """The main metrics of one mode of an evaluation; None if the evaluation does not have it.

    Attributes:
        recall: N -> recall@N over the answerable queries, in 0..1.
        average_precision: part of a retrieval benchmark -> mean average precision, in 0..1.
        queries: number of queries.
        answerable: number of queries that have a right place.
        accepted: number of accepted answers.
        accepted_share: their share, in 0..1.
        accepted_wrong: number of accepted answers that are wrong.
        precision: share of right answers among the accepted, in 0..1.
        median_error_m: median position error of the accepted priors [m].
        median_error_deg: median rotation error of the accepted priors [deg].
        published_recall_at_1: of NetVLAD on the benchmark [%].
        published_map: mean average precision of NetVLAD on the benchmark [%].
        skipped: number of images that were left out.
        intervals: metric -> ends of 95 %; None if there are too few queries.
        average_precision_intervals: part -> ends of 95 %, as for average_precision.
    """

    recall: Mapping[str, Number | None]
    average_precision: Mapping[str, Number | None]
    queries: Number | None
    answerable: Number | None
    accepted: Number | None
    accepted_share: Number | None
    accepted_wrong: Number | None
    precision: Number | None
    median_error_m: Number | None
    median_error_deg: Number | None
    published_recall_at_1: Number | None
    published_map: Number | None
    skipped: Number | None
    intervals: Mapping[str, Ends | None]
    average_precision_intervals: Mapping[str, Ends | None]

    @classmethod
    def from_json(cls, metrics: Mapping[str, Any]) -> ModeMetrics:
        """Read one mode."""
        parts = {
            part: scores
            for part, scores in _mapping(metrics, 'retrieval').items()
            if isinstance(scores, Mapping)
        }
        return cls(
            recall={n: _number(share) for n, share in _mapping(metrics, 'recall').items()},
            average_precision={
                part: _number(scores.get('mean_average_precision'))
                for part, scores in parts.items()
            },
            queries=_number(metrics.get('queries', metrics.get('images'))),
            answerable=_number(metrics.get('answerable')),
            accepted=_number(metrics.get('accepted')),
            accepted_share=_number(metrics.get('accepted_share')),
            accepted_wrong=_number(metrics.get('accepted_wrong')),
            precision=_number(metrics.get('precision')),
            median_error_m=_number(_mapping(metrics, 'pose_error_m').get('median')),
            median_error_deg=_number(_mapping(metrics, 'pose_error_deg').get('median')),
            published_recall_at_1=_number(metrics.get('published_recall_at_1')),
            published_map=_number(metrics.get('published_map')),
            skipped=_number(metrics.get('skipped')),
            intervals={name: _ends(ends) for name, ends in _mapping(metrics, INTERVALS).items()},
            average_precision_intervals={
                part: _ends([_mapping(scores, 'interval').get(end) for end in ('low', 'high')])
                for part, scores in parts.items()
            },
        )


@dataclass(frozen=True)
class RunMetrics:
    """The metrics of an evaluation, and what a reader must know of them.

    Attributes:
        json: all metrics, as metrics.json has them.
        single: of every image alone, or of the only mode.
        sequence: of the images as a sequence; None if there is no such mode.
        same_recording: whether map and queries are of one recording.
        both_sides: number of queries that are images of the database.
        identical_images: number of queries that are described exactly as a place.
        missing: names of missing images of a benchmark.
        images_per_block: images that the intervals were drawn together in; None if unknown.
        answerable_places: number of images whose place is mapped; None if unknown.
        radius_m: distance [m] within which an answer counts as right; None if it does not matter.
        angle_deg: the same for the rotation [deg].
        benchmark: name of the benchmark; None if it is none.
    """

    json: Mapping[str, Any]
    single: ModeMetrics
    sequence: ModeMetrics | None
    same_recording: bool
    both_sides: int
    identical_images: int
    missing: tuple[str, ...]
    images_per_block: int | None
    answerable_places: int | None
    radius_m: Number | None
    angle_deg: Number | None
    benchmark: str | None

    @classmethod
    def from_json(cls, metrics: Mapping[str, Any]) -> RunMetrics:
        """Read the metrics of an evaluation."""
        sequence = metrics.get('sequence')
        missing = metrics.get('missing')
        benchmark = metrics.get('benchmark')
        return cls(
            json=metrics,
            single=ModeMetrics.from_json(metrics),
            sequence=ModeMetrics.from_json(sequence) if isinstance(sequence, Mapping) else None,
            same_recording=metrics.get('same_recording') is True,
            both_sides=_count(metrics, 'both_sides') or 0,
            identical_images=_count(metrics, 'identical_images') or 0,
            missing=tuple(map(str, missing)) if isinstance(missing, list) else (),
            images_per_block=_count(metrics, IMAGES_PER_BLOCK),
            answerable_places=_count(metrics, 'answerable_places'),
            radius_m=_number(metrics.get('radius_m')),
            angle_deg=_number(metrics.get('angle_deg')),
            benchmark=benchmark if isinstance(benchmark, str) else None,
        )

    @property
    def tables(self) -> tuple[Mapping[str, Any], Mapping[str, Any] | None, Mapping[str, Any]]:
        """All metrics as JSON: of single images, as a sequence or None, of compared modes."""
        apart = ('sequence', 'settings')
        single = {name: value for name, value in self.json.items() if name not in apart}
        sequence = _mapping(self.json, 'sequence') if 'sequence' in self.json else None
        return single, sequence, _mapping(self.json, 'settings')


def _mapping(metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = metrics.get(name)
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> Number | None:
    return value if isinstance(value, int | float) else None


def _count(metrics: Mapping[str, Any], name: str) -> int | None:
    value = metrics.get(name)
    return value if isinstance(value, int) else None


def _ends(value: Any) -> Ends | None:
    match value:
        case [float(low), float(high)]:
            return low, high
    return None
