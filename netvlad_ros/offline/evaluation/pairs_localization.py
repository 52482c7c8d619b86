"""What the localizer decides about the images of a `pairs.csv` set, on a map made of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import FeatureSpec
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.offline.drives.image_drive import ImageDrive, line_poses
from netvlad_ros.offline.evaluation.drive_evaluation import COMPARED
from netvlad_ros.offline.evaluation.drive_metrics import acceptance_json, counts_json, timings_json
from netvlad_ros.offline.evaluation.localized_drive import (
    LocalizedDrive,
    MatchSummary,
    localize_drive,
)
from netvlad_ros.offline.evaluation.pairs_ranking import chosen_pairs
from netvlad_ros.offline.mapping.map_builder import build_map
from netvlad_ros.offline.metrics.acceptance import PrecisionRecall, precision_recall
from netvlad_ros.offline.metrics.intervals import acceptance_columns, intervals_json
from netvlad_ros.offline.progress import Progress, Skip, no_progress


@dataclass(frozen=True)
class DecidedPair:
    """The answers to one query, alone and in a sequence, and whether their best place is right."""

    alone: MatchSummary
    sequence: MatchSummary
    right: bool
    sequence_right: bool


def decide_pairs(
    folder: Path,
    bundle: ModelBundle,
    *,
    queries: slice | None = None,
    database: slice | None = None,
    config: LocalizerConfig | None = None,
    pictures: Path | None = None,
    decided: dict[str, DecidedPair] | None = None,
    skipped: list[Skip] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Localize the queries on a temporary map of the database, with SIFT features; plain JSON.

    The map's poses are pretended: the database images stand on a line, one metre apart, in the
    order of their names, and no intrinsics are known; so the stamps are, half a second apart. An
    acceptance is wrong if the best candidate is no right image of pairs.csv. The metrics are those
    of every image alone; `sequence` has those of the same images with belief over time, and
    `settings` compares verification and belief, on and off. pictures: a folder that gets
    precision_recall.png. decided: gets the verified answers, by the query's name. Slices as in
    rank_pairs; unreadable images, and those of the database that are of another size than its
    first, are left out and added to `skipped`: `mapped` are on the map. Raises NetvladError where
    an image would be localized on a map that holds it, or nothing is left.
    """
    positives, query_names, database_names = chosen_pairs(folder, queries, database)
    both = sorted(set(query_names) & set(database_names))
    if both:
        raise NetvladError(
            f'{folder}: {len(both)} images, {both[0]} first, are queries and in the database; to '
            'decide on them, keep the two apart with --queries and --database'
        )
    config = config or LocalizerConfig()
    ways: dict[str, tuple[dict[str, Any], PrecisionRecall]] = {}
    with tempfile.TemporaryDirectory(prefix='netvlad-') as scratch:
        mapped = ImageDrive(folder, database_names, T_map_cam=line_poses(len(database_names)))
        unmapped: list[Skip] = []
        place_map = build_map(
            mapped,
            bundle,
            Path(scratch) / 'map',
            thumbnails=False,
            feature_spec=FeatureSpec.built_in('sift'),
            skipped=unmapped,
        )
        if skipped is not None:
            known = set(skipped)
            skipped += [skip for skip in unmapped if skip not in known]
        for verification, word in ((True, 'verification'), (False, 'no verification')):
            asked = ImageDrive(folder, query_names)
            localizer = Localizer(
                bundle, place_map, replace(config, verification=verification, belief=True)
            )
            drive = localize_drive(localizer, asked, needs_poses=False, progress=progress)
            ways[f'{word}, no belief'] = _judge(drive.alone, drive, place_map, positives)
            ways[f'{word}, belief'] = _judge(drive.sequence, drive, place_map, positives)
            if verification and decided is not None:
                right, sequence_right = (
                    _is_right(answers, drive, place_map, positives).tolist()
                    for answers in (drive.alone, drive.sequence)
                )
                pairs = map(DecidedPair, drive.alone, drive.sequence, right, sequence_right)
                decided.update(zip(drive.images, pairs, strict=True))
    if pictures is not None:
        from netvlad_ros.offline.report.plots import draw_precision_recall

        draw_precision_recall(
            {name: curve for name, (_, curve) in ways.items()}, pictures / 'precision_recall.png'
        )
    return {
        **ways['verification, no belief'][0],
        'mapped': len(place_map),
        'sequence': ways['verification, belief'][0],
        'settings': {
            name: {key: metrics[key] for key in COMPARED} for name, (metrics, _) in ways.items()
        },
    }


def _judge(
    answers: Sequence[MatchSummary],
    drive: LocalizedDrive,
    place_map: PlaceMap,
    positives: dict[str, set[str]],
) -> tuple[dict[str, Any], PrecisionRecall]:
    right = _is_right(answers, drive, place_map, positives)
    accepted = np.array([answer.prior is not None for answer in answers])
    mapped = set(place_map.images)
    answerable = sum(not positives[name].isdisjoint(mapped) for name in drive.images)
    curve = precision_recall([answer.probability for answer in answers], right, answerable)
    return {
        **acceptance_json(accepted, right),
        **counts_json(answers),
        **intervals_json(acceptance_columns(accepted, right)),
        'recall_at_100_precision': curve.recall_at_full_precision,
        'ms': timings_json(answers),
    }, curve


def _is_right(
    answers: Sequence[MatchSummary],
    drive: LocalizedDrive,
    place_map: PlaceMap,
    positives: dict[str, set[str]],
) -> NDArray[np.bool_]:
    """Whether the best candidate of each answer is a right image, (n,)."""
    return np.array([
        place_map.images[answer.ranked[0]] in positives[name]
        for answer, name in zip(answers, drive.images, strict=True)
    ])  # fmt: skip
