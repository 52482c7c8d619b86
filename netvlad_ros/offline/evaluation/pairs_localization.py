"""DecidedPairs: the images of a `pairs.csv` set, localized on a temporary map made of them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.offline.drives.image_drive import ImageDrive, line_poses
from netvlad_ros.offline.evaluation.localized_drive import (
    LocalizedDrive,
    MatchSummary,
    localize_drive,
)
from netvlad_ros.offline.evaluation.pairs_ranking import chosen_pairs
from netvlad_ros.offline.evaluation.verdict_counts import VerdictCounts, mean_timings_ms
from netvlad_ros.offline.mapping.feature_choice import FeatureChoice
from netvlad_ros.offline.mapping.map_builder import MapBuilder
from netvlad_ros.offline.metrics.acceptance import (
    Acceptance,
    PrecisionRecall,
    mode_json,
    precision_recall,
)
from netvlad_ros.offline.metrics.intervals import Intervals, acceptance_columns, intervals
from netvlad_ros.offline.progress import Progress, Skip, no_progress

SINGLE, SEQUENCE = 'verification, no belief', 'verification, belief'  # as the robot does


@dataclass(frozen=True)
class DecidedPair:
    """The answers to one query.

    Attributes:
        single: to the image alone.
        sequence: with belief over time.
        right: whether the best place of `single` is right.
        sequence_right: whether the best place of `sequence` is right.
    """

    single: MatchSummary
    sequence: MatchSummary
    right: bool
    sequence_right: bool


@dataclass(frozen=True)
class PairsMetrics:
    """The metrics of one mode of localizing.

    Attributes:
        acceptance: of all answers.
        verdicts: of all answers.
        intervals: of the acceptance.
        curve: precision and recall over the acceptance threshold.
        timings_ms: stage -> mean time [ms].
    """

    acceptance: Acceptance
    verdicts: VerdictCounts
    intervals: Intervals
    curve: PrecisionRecall
    timings_ms: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The metrics as metrics.json has them."""
        return {
            **self.acceptance.to_json(),
            **self.verdicts.to_json(),
            **self.intervals.to_json(),
            'recall_at_100_precision': self.curve.recall_at_full_precision,
            'ms': dict(self.timings_ms),
        }


@dataclass(frozen=True)
class DecidedPairs:
    """The answers to the queries of a `pairs.csv` set, and their metrics.

    Attributes:
        modes: name -> metrics, with verification and belief on and off.
        mapped: number of database images that the map has.
        pairs: name of the query -> its verified answers.
        skipped: database images that the map could not take.
    """

    modes: Mapping[str, PairsMetrics]
    mapped: int
    pairs: Mapping[str, DecidedPair]
    skipped: tuple[Skip, ...]

    def to_json(self) -> dict[str, Any]:
        """The metrics as metrics.json has them."""
        return {
            **self.modes[SINGLE].to_json(),
            'mapped': self.mapped,
            'sequence': self.modes[SEQUENCE].to_json(),
            'settings': {
                name: mode_json(metrics.acceptance, metrics.curve)
                for name, metrics in self.modes.items()
            },
        }


def decide_pairs(
    folder: Path,
    bundle: ModelBundle,
    *,
    queries: slice | None = None,
    database: slice | None = None,
    config: LocalizerConfig | None = None,
    progress: Progress = no_progress,
) -> DecidedPairs:
    """Localize the queries on a temporary map of the database, with local features.

    The features are those that the model answers itself; SIFT, where it answers none.

    The poses of the map are pretended: the database images stand on a line, one metre apart, in
    the order of their names. The time stamps are pretended too, half a second apart. No intrinsics
    are known. An accepted answer is wrong if its best candidate is no right image of pairs.csv.

    Args:
        folder: has pairs.csv and the images.
        bundle: the model.
        queries: slice, see rank_pairs.
        database: slice, see rank_pairs. Unreadable images, and those of another size than the
            first, are left out.
        config: of the localizer; verification and belief are switched on and off.
        progress: called for every query.

    Raises:
        NetvladError: an image would be localized on a map that holds it, or no image is left.
    """
    positives, query_names, database_names = chosen_pairs(folder, queries, database)
    both = sorted(set(query_names) & set(database_names))
    if both:
        raise NetvladError(
            f'{folder}: {len(both)} images, {both[0]} first, are queries and in the database; to '
            'decide on them, keep the two apart with --queries and --database'
        )
    config = config or LocalizerConfig()
    modes: dict[str, PairsMetrics] = {}
    pairs: dict[str, DecidedPair] = {}
    with tempfile.TemporaryDirectory(prefix='netvlad-') as scratch:
        mapped = ImageDrive(folder, database_names, T_map_cam=line_poses(len(database_names)))
        skipped: list[Skip] = []
        place_map = MapBuilder(
            Path(scratch) / 'map', thumbnails=False, features=FeatureChoice('default')
        ).build(mapped, bundle, skipped=skipped)
        for verification, word in ((True, 'verification'), (False, 'no verification')):
            asked = ImageDrive(folder, query_names)
            localizer = Localizer(
                bundle, place_map, replace(config, verification=verification, belief=True)
            )
            drive = localize_drive(localizer, asked, needs_poses=False, progress=progress)
            right, sequence_right = (
                _is_right(answers, drive, place_map, positives)
                for answers in (drive.single, drive.sequence)
            )
            mapped_names = set(place_map.images)
            answerable = sum(not positives[name].isdisjoint(mapped_names) for name in drive.images)
            modes[f'{word}, no belief'] = _metrics(drive.single, right, answerable)
            modes[f'{word}, belief'] = _metrics(drive.sequence, sequence_right, answerable)
            if verification:
                decided = map(
                    DecidedPair,
                    drive.single,
                    drive.sequence,
                    right.tolist(),
                    sequence_right.tolist(),
                )
                pairs = dict(zip(drive.images, decided, strict=True))
    return DecidedPairs(modes, len(place_map), pairs, tuple(skipped))


def _metrics(
    answers: Sequence[MatchSummary], right: NDArray[np.bool_], answerable: int
) -> PairsMetrics:
    """Metrics of answers (n,) that are right or not (n,)."""
    accepted = np.array([answer.prior is not None for answer in answers])
    return PairsMetrics(
        acceptance=Acceptance.of(accepted, right),
        verdicts=VerdictCounts.of(answers),
        intervals=intervals(acceptance_columns(accepted, right)),
        curve=precision_recall([answer.probability for answer in answers], right, answerable),
        timings_ms=mean_timings_ms(answers),
    )


def _is_right(
    answers: Sequence[MatchSummary],
    drive: LocalizedDrive,
    place_map: PlaceMap,
    positives: Mapping[str, set[str]],
) -> NDArray[np.bool_]:
    """Whether the best candidate of each answer is a right image, (n,)."""
    return np.array([
        place_map.images[answer.ranked[0]] in positives[name]
        for answer, name in zip(answers, drive.images, strict=True)
    ])  # fmt: skip
