"""How well a drive is localized on a map, judged on the robot's own Localizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.offline.drives.drive import Drive, selected_indices
from netvlad_ros.offline.evaluation.drive_metrics import (
    DriveMetrics,
    Tolerances,
    counts_json,
    score_answers,
    timings_json,
)
from netvlad_ros.offline.evaluation.localized_drive import (
    LocalizedDrive,
    MatchSummary,
    localize_drive,
)
from netvlad_ros.offline.mapping.shared_recording import check_frame, place_radius, shared_recording
from netvlad_ros.offline.metrics.acceptance import per_1000
from netvlad_ros.offline.metrics.accuracy import RECALL_AT
from netvlad_ros.offline.metrics.bootstrap import block_length
from netvlad_ros.offline.metrics.intervals import intervals_json
from netvlad_ros.offline.progress import Progress, Skip, no_progress
from netvlad_ros.offline.report.similarity_matrix import PooledSimilarity

DEFAULT_RADIUS_M = 1.0
OTHER_IMAGES = (
    'choose another drive, or a part of this one without them (--slice), or pass --same-recording '
    'to judge by the other images of the recording'
)


COMPARED = ('accepted', 'accepted_wrong', 'wrong_per_1000', 'recall_at_100_precision')


def evaluate_map(
    place_map: PlaceMap,
    bundle: ModelBundle,
    drive: Drive,
    *,
    selection: slice = slice(None),
    radius_m: float = DEFAULT_RADIUS_M,
    angle_deg: float | None = None,
    config: LocalizerConfig | None = None,
    compare: bool = False,
    same_recording: bool = False,
    pictures: Path | None = None,
    skipped: list[Skip] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Localize every image of a drive and compare with its poses; the answer is plain JSON.

    The metrics are those of every image alone, comparable to papers; `sequence` holds the same
    metrics with belief over time, which is what the robot does.

    A place is right if its camera pose lies within radius_m [m] of the true one, and within
    angle_deg [deg] of rotation where given; a query is answerable if the map has a right place.
    An accepted prior is wrong if it lies outside the same bounds. Precision, recall over the
    acceptance threshold and reliability count an answer as right if it shows the right place: its
    pose lies within the localizer's own place radius. compare: localize once more without
    verification, for `settings`: verification and belief, on and off. pictures: a folder that gets
    precision_recall.png, reliability.png, errors.png and all that write_report writes. Queries
    without a pose and unreadable images are left out and added to `skipped`. The map's own images
    are refused; with same_recording they are left out too, and the others of the recording
    judged. Raises NetvladError if map, model and drive do not fit together or nothing is left to
    judge.
    """
    if not radius_m > 0 or (angle_deg is not None and not angle_deg > 0):
        raise NetvladError('radius and angle must be above 0')
    check_frame(place_map, drive)
    config = config or LocalizerConfig(top_k=max(RECALL_AT))
    localizer = Localizer(bundle, place_map, config)
    shared = shared_recording(place_map, bundle, drive)
    if not same_recording:
        shared.refuse(drive, selection, OTHER_IMAGES)
    similarity = pooled_similarity(place_map, drive, selection) if pictures else None
    localized = localize_drive(
        localizer,
        drive,
        selection=selection,
        leave_out=shared.own,
        similarity=similarity,
        progress=progress,
    )
    if skipped is not None:
        skipped += localized.skipped
    bounds = Tolerances(radius_m, angle_deg, *place_radius(place_map, config))
    alone = score_answers(localized.alone, localized, place_map.T_map_cam, bounds)
    sequence = score_answers(localized.sequence, localized, place_map.T_map_cam, bounds)
    settings: dict[str, DriveMetrics] = {}
    if compare:
        localizer = Localizer(bundle, place_map, replace(config, verification=False))
        plain = localize_drive(
            localizer, drive, selection=selection, leave_out=shared.own, progress=progress
        )
        settings = {
            'verification, no belief': alone,
            'verification, belief': sequence,
            **{
                name: score_answers(answers, plain, place_map.T_map_cam, bounds)
                for name, answers in (
                    ('no verification, no belief', plain.alone),
                    ('no verification, belief', plain.sequence),
                )
            },
        }
    metrics = {
        **alone.metrics,
        'sequence': sequence.metrics,
        **({'settings': compared(settings)} if settings else {}),
        **shared.metrics([answer.similarity for answer in localized.alone]),
        'skipped': len(localized.skipped),
        'ms_per_image': float(np.mean([answer.timings_ms['total'] for answer in localized.alone])),
        'radius_m': radius_m,
        'angle_deg': angle_deg,
        'place_radius_m': bounds.place_radius_m,
        'place_radius_deg': bounds.place_radius_deg,
        **_identity(place_map, bundle),
    }
    if pictures is not None and similarity is not None:
        from netvlad_ros.offline.evaluation.drive_plots import draw_judgements
        from netvlad_ros.offline.evaluation.drive_report import drive_run
        from netvlad_ros.offline.report.run_report import write_report

        draw_judgements(
            settings or {'every image alone': alone, 'as a sequence': sequence}, pictures
        )
        judged = (alone, sequence)
        write_report(
            drive_run(metrics, localized, judged, place_map, drive, config, similarity, selection),
            pictures,
        )
    return metrics


def evaluate_unmapped(
    place_map: PlaceMap,
    bundle: ModelBundle,
    drive: Drive,
    *,
    selection: slice = slice(None),
    config: LocalizerConfig | None = None,
    pictures: Path | None = None,
    skipped: list[Skip] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Localize images that show nothing of the map, so that every acceptance is wrong; plain JSON.

    No pose is needed. pictures: a folder that gets all that write_report writes. Other parameters,
    skips and errors as in evaluate_map; the map's own images are always refused.
    """
    config = config or LocalizerConfig()
    localizer = Localizer(bundle, place_map, config)
    shared = shared_recording(place_map, bundle, drive)
    shared.refuse(drive, selection, 'they show nothing of elsewhere')
    similarity = pooled_similarity(place_map, drive, selection) if pictures else None
    localized = localize_drive(
        localizer,
        drive,
        selection=selection,
        needs_poses=False,
        similarity=similarity,
        progress=progress,
    )
    if skipped is not None:
        skipped += localized.skipped
    metrics = {
        'images': len(localized.images),
        **_acceptances(localized.alone, localized),
        'sequence': _acceptances(localized.sequence, localized),
        **shared.metrics([answer.similarity for answer in localized.alone]),
        'skipped': len(localized.skipped),
        **_identity(place_map, bundle),
    }
    if pictures is not None and similarity is not None:
        from netvlad_ros.offline.evaluation.drive_report import drive_run
        from netvlad_ros.offline.report.run_report import write_report

        write_report(
            drive_run(metrics, localized, None, place_map, drive, config, similarity, selection),
            pictures,
        )
    return metrics


def pooled_similarity(place_map: PlaceMap, drive: Drive, selection: slice) -> PooledSimilarity:
    """Prepare the picture of the similarity of a drive's images and the map's."""
    queries = len(selected_indices(selection, len(drive)))
    return PooledSimilarity(place_map.descriptors, queries)


def compared(settings: Mapping[str, DriveMetrics]) -> dict[str, dict[str, Any]]:
    """What ways of localizing, by name, differ in."""
    return {
        name: {key: judgement.metrics[key] for key in COMPARED}
        for name, judgement in settings.items()
    }


def _acceptances(answers: tuple[MatchSummary, ...], localized: LocalizedDrive) -> dict[str, Any]:
    accepted = np.array([answer.prior is not None for answer in answers])
    images = [image for image, taken in zip(localized.images, accepted, strict=True) if taken]
    return {
        'accepted': len(images),
        'accepted_wrong': len(images),
        'accepted_share': float(accepted.mean()),
        'wrong_per_1000': per_1000(len(images), len(answers)),
        **intervals_json(
            {'accepted_share': accepted.astype(float)}, block_length(localized.stamps_ns)
        ),
        'highest_probability': max(answer.probability for answer in answers),
        'accepted_images': images[:20],
        **counts_json(answers),
        'ms': timings_json(answers),
    }


def _identity(place_map: PlaceMap, bundle: ModelBundle) -> dict[str, Any]:
    return {
        'calibrated': place_map.calibration is not None,
        'map_id': place_map.map_id,
        'model_id': place_map.model_id,
        'provider': bundle.provider,
    }
