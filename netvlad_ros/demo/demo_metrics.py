"""DemoMetrics: what the node published against the true poses, and whether it suffices."""

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

RADIUS_M, ANGLE_DEG = 1.0, 30.0  # a mapped place within these shows the same view
UNMAPPED_M = 4.0  # an image further than this from every place was taken where none is mapped
WRONG_M, WRONG_DEG = 2.0, 30.0  # a prior with a larger error is wrong
RECALL_NEEDED = 0.95


@dataclass(frozen=True)
class PublishedImage:
    """One published image, its true pose and what was answered.

    Attributes:
        index: Index of the image in the drive.
        stamp_ns: Stamp with which it was published [ns].
        T_map_cam: Its true pose (4, 4); None if the drive has no poses.
        match: The answer, or None.
        prior: The pose prior, or None.
        positives: place_id of each place within RADIUS_M and ANGLE_DEG of the true pose.
        nearest_m: Distance to the nearest place [m]; nan without true pose.
        error_m: Position error of the prior [m]; nan without prior or true pose.
        error_deg: Rotation error of the prior [deg]; nan likewise.
    """

    index: int
    stamp_ns: int
    T_map_cam: NDArray[np.float64] | None
    match: ReceivedMatch | None
    prior: ReceivedPrior | None
    positives: frozenset[int]
    nearest_m: float
    error_m: float
    error_deg: float

    @property
    def is_accepted(self) -> bool:
        """Whether a prior was published for the image."""
        return self.prior is not None

    @property
    def is_unmapped(self) -> bool:
        """Whether the image was taken where nothing is mapped."""
        return self.nearest_m > UNMAPPED_M

    @property
    def is_wrong(self) -> bool:
        """Whether the prior is far from the true pose."""
        return self.error_m > WRONG_M or self.error_deg > WRONG_DEG


@dataclass(frozen=True)
class DemoMetrics:
    """The published images and their metrics.

    Attributes:
        images: All published images in order of publication.
        foreign_stamps: Number of answers whose stamp no published image had.
        values: Metrics by name, as they are written to metrics.json.
    """

    images: list[PublishedImage]
    foreign_stamps: int
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def has_truth(self) -> bool:
        """Whether the second drive knows its poses."""
        return any(image.T_map_cam is not None for image in self.images)

    def check_answers(self) -> None:
        """Raise NetvladError if images or answers are missing, or stamps are foreign."""
        published, answered = self.values['images_published'], self.values['matches_received']
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
        values = self.values
        recall, published = values['recall_at_1'], values['images_published']
        if values['matches_received'] < published:
            lost = published - values['matches_received']
            raise NetvladError(f'{lost} of {published} images were never answered')
        if recall is None or recall < RECALL_NEEDED:
            raise NetvladError(f'recall@1 is {recall}, at least {RECALL_NEEDED} was expected')
        if values['accepted_where_never_mapped']:
            raise NetvladError(
                f'{values["accepted_where_never_mapped"]} priors were published from places that '
                'were never mapped'
            )
        if values['accepted_wrong']:
            raise NetvladError(f'{values["accepted_wrong"]} priors were wrong')
        if not values['accepted'] or not values['initial_poses']:
            raise NetvladError('no pose prior, or no initial pose, was published')


def score_answers(
    published: list[tuple[int, int]],
    truth: dict[int, NDArray[np.float64]],
    place_map: PlaceMap,
    collected: Collector,
) -> DemoMetrics:
    """The metrics of a demonstration.

    Args:
        published: Index in the drive and stamp [ns] of each published image.
        truth: By index, the true T_map_cam (4, 4).
        place_map: The map on which the node localized.
        collected: What the node published.
    """
    images = [
        _published_image(index, stamp, truth.get(index), place_map, collected)
        for index, stamp in published
    ]
    known = {stamp for _, stamp in published}
    answers = [*collected.matches, *collected.priors, *collected.initial_poses]
    foreign = sum(stamp not in known for stamp in answers)
    return DemoMetrics(images, foreign, _values(images, place_map, collected))


def _published_image(
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
            if place_map.T_base_cam is not None:  # then the prior is the pose of the base
                T_true = T_map_cam @ invert(place_map.T_base_cam)
            errors = pose_errors(prior.T[np.newaxis], T_true[np.newaxis])
            error_m, error_deg = (float(e[0]) for e in errors)
    match = collected.matches.get(stamp_ns)
    return PublishedImage(
        index, stamp_ns, T_map_cam, match, prior, positives, nearest, error_m, error_deg
    )


def _values(
    images: list[PublishedImage], place_map: PlaceMap, collected: Collector
) -> dict[str, Any]:
    known = [image for image in images if image.T_map_cam is not None]
    answered = [image for image in images if image.match is not None]
    ranked = [image.match.place_ids if image.match else () for image in known]
    recall = recall_at_n(ranked, [image.positives for image in known], (1, 5))
    accepted = [image for image in images if image.is_accepted]
    right = [image for image in accepted if not np.isnan(image.error_m)]
    statuses = [image.match.status for image in answered if image.match]
    latencies = [image.match.latency_ms for image in answered if image.match]
    stamps_ns = [image.stamp_ns for image in images]
    seconds = (max(stamps_ns) - min(stamps_ns)) / 1e9 if stamps_ns else 0.0
    p50, p99 = np.percentile(latencies, (50, 99)) if latencies else (None, None)
    diagnostics = collected.diagnostics
    return {
        'images_published': len(images),
        'images_per_s': (len(images) - 1) / seconds if seconds else None,
        'matches_received': len(answered),
        'answerable': recall.answerable,
        'recall_at_1': recall.over_answerable[1],
        'recall_at_5': recall.over_answerable[5],
        'accepted': len(accepted),
        'accepted_by_landmarks': sum(
            image.match is not None and image.match.pose_method == 'landmarks' for image in accepted
        ),
        'ambiguous': statuses.count('ambiguous'),
        'no_match': statuses.count('no_match'),
        'accepted_wrong': sum(image.is_wrong for image in right) if known else None,
        'never_mapped': sum(image.is_unmapped for image in known),
        'accepted_where_never_mapped': sum(image.is_unmapped for image in right),
        'initial_poses': len(collected.initial_poses),
        'pose_of': 'camera' if place_map.T_base_cam is None else 'base',
        'pose_error_m': median_and_p90([image.error_m for image in right]),
        'pose_error_deg': median_and_p90([image.error_deg for image in right]),
        'latency_ms': {'p50': p50, 'p99': p99},
        'inference_share': diagnostics.get('inference share', ''),
        'accelerator': diagnostics.get('accelerator', ''),
        'places': len(place_map),
        'dim': int(place_map.descriptors.shape[1]),
        'spacing_m': place_map.spacing_m,
    }
