"""What the localizer said against where the vehicle was: figures, and whether they suffice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import distance_m, invert
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.demo.collector import Collector, ReceivedMatch, ReceivedPrior
from netvlad_ros.offline.metrics.accuracy import (
    median_and_p90,
    places_within,
    pose_errors,
    recall_at_n,
)

RADIUS_M, ANGLE_DEG = 1.0, 30.0  # a mapped place this near shows the same view
UNMAPPED_M = 4.0  # further than this from every mapped place, nothing was mapped
WRONG_M, WRONG_DEG = 2.0, 30.0  # a prior further off than this is wrong
RECALL_NEEDED = 0.95


@dataclass(frozen=True)
class PublishedImage:
    """One published image: its truth (None where the drive knows none) and what was answered."""

    index: int
    stamp_ns: int
    T_map_cam: NDArray[np.float64] | None
    match: ReceivedMatch | None
    prior: ReceivedPrior | None
    positives: frozenset[int]  # places within RADIUS_M and ANGLE_DEG of the truth
    nearest_m: float  # to the nearest place, nan without truth
    error_m: float  # of the prior, nan without prior or truth
    error_deg: float

    @property
    def is_accepted(self) -> bool:
        """Whether a prior was published for it."""
        return self.prior is not None

    @property
    def is_unmapped(self) -> bool:
        """Whether it was taken where no drive mapped anything."""
        return self.nearest_m > UNMAPPED_M

    @property
    def is_wrong(self) -> bool:
        """Whether its prior is far from the truth."""
        return self.error_m > WRONG_M or self.error_deg > WRONG_DEG


@dataclass(frozen=True)
class DemoMetrics:
    """All observations in order of publication, and the figures about them."""

    observations: list[PublishedImage]
    foreign_stamps: int  # answers whose stamp no published image had
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def has_truth(self) -> bool:
        """Whether the second drive knows its poses."""
        return any(o.T_map_cam is not None for o in self.observations)

    def check_answers(self) -> None:
        """Raise NetvladError if the node did not answer as it must, on whatever images."""
        published, answered = self.metrics['images_published'], self.metrics['matches_received']
        if not published:
            raise NetvladError('no image of the second drive could be published')
        if not answered:
            raise NetvladError(f'{published} images were published and not one was answered')
        if self.foreign_stamps:
            raise NetvladError(
                f'{self.foreign_stamps} answers carry a stamp that no published image had'
            )

    def check_localization(self) -> None:
        """Raise NetvladError if the rendered drive was not localized well enough."""
        figures = self.metrics
        recall, published = figures['recall_at_1'], figures['images_published']
        if figures['matches_received'] < published:
            lost = published - figures['matches_received']
            raise NetvladError(f'{lost} of {published} images were never answered')
        if recall is None or recall < RECALL_NEEDED:
            raise NetvladError(f'recall@1 is {recall}, at least {RECALL_NEEDED} was expected')
        if figures['accepted_where_never_mapped']:
            raise NetvladError(
                f'{figures["accepted_where_never_mapped"]} priors were published from places that '
                'were never mapped'
            )
        if figures['accepted_wrong']:
            raise NetvladError(f'{figures["accepted_wrong"]} priors were wrong')
        if not figures['accepted'] or not figures['initial_poses']:
            raise NetvladError('no pose prior, or no initial pose, was published')


def judge(
    published: list[tuple[int, int]],
    truth: dict[int, NDArray[np.float64]],
    place_map: PlaceMap,
    collected: Collector,
) -> DemoMetrics:
    """published: (index in the drive, stamp [ns]); truth: index -> T_map_cam (4, 4)."""
    observations = [
        _observe(index, stamp, truth.get(index), place_map, collected) for index, stamp in published
    ]
    known = {stamp for _, stamp in published}
    answers = [*collected.matches, *collected.priors, *collected.initial_poses]
    foreign = sum(stamp not in known for stamp in answers)
    metrics = _figures(observations, place_map, collected)
    return DemoMetrics(observations, foreign, metrics)


def _observe(
    index: int,
    stamp_ns: int,
    T_map_cam: NDArray[np.float64] | None,
    place_map: PlaceMap,
    collected: Collector,
) -> PublishedImage:
    prior = collected.priors.get(stamp_ns)
    positives: frozenset[int] = frozenset()
    nearest = error_m = error_deg = float('nan')
    if T_map_cam is not None:
        places = places_within(place_map.T_map_cam, T_map_cam, RADIUS_M, ANGLE_DEG)
        positives = frozenset(place_map.place_ids[places].tolist())
        nearest = float(distance_m(place_map.T_map_cam, T_map_cam).min())
        if prior is not None:
            T_true = T_map_cam
            if place_map.T_base_cam is not None:  # then the prior is the base's
                T_true = T_map_cam @ invert(place_map.T_base_cam)
            errors = pose_errors(prior.T[np.newaxis], T_true[np.newaxis])
            error_m, error_deg = (float(e[0]) for e in errors)
    match = collected.matches.get(stamp_ns)
    return PublishedImage(
        index, stamp_ns, T_map_cam, match, prior, positives, nearest, error_m, error_deg
    )


def _figures(
    observations: list[PublishedImage], place_map: PlaceMap, collected: Collector
) -> dict[str, Any]:
    known = [o for o in observations if o.T_map_cam is not None]
    answered = [o for o in observations if o.match is not None]
    ranked = [o.match.place_ids if o.match else () for o in known]
    recall = recall_at_n(ranked, [o.positives for o in known], (1, 5))
    accepted = [o for o in observations if o.is_accepted]
    right = [o for o in accepted if not np.isnan(o.error_m)]
    statuses = [o.match.status for o in answered if o.match]
    latencies = [o.match.latency_ms for o in answered if o.match]
    stamps_ns = [o.stamp_ns for o in observations]
    seconds = (max(stamps_ns) - min(stamps_ns)) / 1e9 if stamps_ns else 0.0
    p50, p99 = np.percentile(latencies, (50, 99)) if latencies else (None, None)
    diagnostics = collected.diagnostics
    return {
        'images_published': len(observations),
        'images_per_s': (len(observations) - 1) / seconds if seconds else None,
        'matches_received': len(answered),
        'answerable': recall.answerable,
        'recall_at_1': recall.over_answerable[1],
        'recall_at_5': recall.over_answerable[5],
        'accepted': len(accepted),
        'accepted_by_landmarks': sum(
            o.match is not None and o.match.pose_method == 'landmarks' for o in accepted
        ),
        'ambiguous': statuses.count('ambiguous'),
        'no_match': statuses.count('no_match'),
        'accepted_wrong': sum(o.is_wrong for o in right) if known else None,
        'never_mapped': sum(o.is_unmapped for o in known),
        'accepted_where_never_mapped': sum(o.is_unmapped for o in right),
        'initial_poses': len(collected.initial_poses),
        'pose_of': 'camera' if place_map.T_base_cam is None else 'base',
        'pose_error_m': median_and_p90([o.error_m for o in right]),
        'pose_error_deg': median_and_p90([o.error_deg for o in right]),
        'latency_ms': {'p50': p50, 'p99': p99},
        'inference_share': diagnostics.get('inference share', ''),
        'accelerator': diagnostics.get('accelerator', ''),
        'places': len(place_map),
        'dim': int(place_map.descriptors.shape[1]),
        'spacing_m': place_map.spacing_m,
    }
