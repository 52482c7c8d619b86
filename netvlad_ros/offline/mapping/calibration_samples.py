"""Samples for a map's calibration: a drive of the mapped area, localized image by image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import FeatureExtractor
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.offline.drives.drive import Drive, read_or_skip, selected_indices
from netvlad_ros.offline.mapping.calibration_fit import CalibrationSamples
from netvlad_ros.offline.mapping.shared_recording import check_frame, place_radius, shared_recording
from netvlad_ros.offline.metrics.accuracy import places_within
from netvlad_ros.offline.metrics.uncertainty import pose_residuals
from netvlad_ros.offline.progress import Progress, Skip, no_progress

MIN_IMAGES = 30
OTHER_IMAGES = (
    'images that made a map, or came between them, are too easy for it: calibrate on another '
    'drive, or on another part of this one (--slice)'
)


def calibration_samples(
    place_map: PlaceMap,
    bundle: ModelBundle,
    drive: Drive,
    *,
    extractor: FeatureExtractor | None = None,
    selection: slice = slice(None),
    skipped: list[Skip] | None = None,
    progress: Progress = no_progress,
) -> CalibrationSamples:
    """Localize every image of a drive alone, as if the map had no calibration.

    An estimate is right if it lies within the localizer's place radius of the true pose.

    Args:
        place_map: the map to calibrate.
        bundle: the model that the map was built with.
        drive: another recording of the mapped area, with poses in the map's frame.
        extractor: of the map's features, needed only where they are of a feature bundle.
        selection: of its images.
        skipped: gets the images that are left out, unreadable or without a pose.
        progress: called with (images done, in all).

    Raises:
        NetvladError: selected images of the drive made the map, by whatever name; the drive's
            poses are given in another frame; or fewer than MIN_IMAGES images with a pose are left.
    """
    check_frame(place_map, drive)
    localizer = Localizer(bundle, replace(place_map, calibration=None), extractor=extractor)
    radius_m, radius_deg = place_radius(place_map, localizer.config)
    shared_recording(place_map, bundle, drive).refuse(drive, selection, OTHER_IMAGES)
    total = len(selected_indices(selection, len(drive)))
    samples: list[tuple[Any, ...]] = []
    skipped = [] if skipped is None else skipped
    for done, frame in enumerate(drive.frames(selection, skipped)):
        progress(done, total)
        if frame.T_map_cam is None:
            continue
        rgb = read_or_skip(frame, skipped)
        if rgb is None:
            continue
        match = localizer.recognize(rgb, frame.stamp_ns, camera=drive.camera)
        samples.append(_sample(match, frame.T_map_cam, radius_m, radius_deg))
    progress(total, total)
    if len(samples) < MIN_IMAGES:
        raise NetvladError(
            f'{drive.name}: {len(samples)} images with a pose are too few to calibrate a map, '
            f'{MIN_IMAGES} are needed; nothing was written'
        )
    return CalibrationSamples(*(np.array(column) for column in zip(*samples, strict=True)))


def _sample(match: Match, T_true: Array, radius_m: float, radius_deg: float) -> tuple[Any, ...]:
    """One row of CalibrationSamples, in the order of its columns."""
    estimate = match.estimate
    covariance = estimate.covariance  # that of map images, whose default scale is 1
    place = [c for c in match.candidates if c.probability == match.probability]
    inliers = max(candidate.inliers for candidate in place)
    verified = match.verification
    without_pose = verified is not None and verified.is_pose_expected
    for pose in verified.poses if verified else ():
        if np.array_equal(pose.T_map_cam, estimate.T):
            covariance, inliers, without_pose = pose.covariance, pose.inliers, False
    return (
        max(candidate.similarity for candidate in place),
        inliers,
        without_pose,
        max(0.0, 1.0 / max(match.probability, 1e-12) - 1.0 / max(match.single_probability, 1e-12)),
        len(places_within(estimate.T[np.newaxis], T_true, radius_m, radius_deg)) > 0,
        estimate.method,
        pose_residuals(estimate.T[np.newaxis], T_true[np.newaxis])[0],
        covariance,
    )
