"""A drive that shows nothing of the map, evaluated on it: `netvlad eval --map --unmapped`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.features.extractor import FeatureExtractor
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.offline.drives.drive import Drive, slice_words
from netvlad_ros.offline.evaluation.localized_drive import (
    LocalizedDrive,
    MatchSummary,
    localize_drive,
)
from netvlad_ros.offline.evaluation.run_identity import RunIdentity
from netvlad_ros.offline.evaluation.verdict_counts import VerdictCounts, mean_timings_ms
from netvlad_ros.offline.mapping.shared_recording import shared_recording
from netvlad_ros.offline.metrics.acceptance import Acceptance
from netvlad_ros.offline.metrics.intervals import Intervals, intervals
from netvlad_ros.offline.progress import Progress, Skip, no_progress

NAMED = 20  # accepted images


@dataclass(frozen=True)
class UnmappedMetrics:
    """The metrics of one mode of localizing, where every accepted answer is wrong.

    Attributes:
        acceptance: of all answers.
        intervals: of the accepted share.
        highest_probability: of all answers.
        accepted_images: names of the first NAMED images that were accepted.
        verdicts: of all answers.
        timings_ms: stage -> mean time [ms].
    """

    acceptance: Acceptance
    intervals: Intervals
    highest_probability: float
    accepted_images: tuple[str, ...]
    verdicts: VerdictCounts
    timings_ms: Mapping[str, float]

    @classmethod
    def of(cls, answers: Sequence[MatchSummary], localized: LocalizedDrive) -> UnmappedMetrics:
        """Count the answers of one mode, `localized.single` or `localized.sequence`."""
        accepted = np.array([answer.prior is not None for answer in answers])
        images = [image for image, taken in zip(localized.images, accepted, strict=True) if taken]
        return cls(
            acceptance=Acceptance.of(accepted, np.zeros_like(accepted)),
            intervals=intervals({'accepted_share': accepted.astype(float)}, localized.stamps_ns),
            highest_probability=max(answer.probability for answer in answers),
            accepted_images=tuple(images[:NAMED]),
            verdicts=VerdictCounts.of(answers),
            timings_ms=mean_timings_ms(answers),
        )

    def to_json(self) -> dict[str, Any]:
        """The metrics as metrics.json has them."""
        return {
            'accepted': self.acceptance.accepted,
            'accepted_wrong': self.acceptance.wrong,
            'accepted_share': self.acceptance.share,
            'wrong_per_1000': self.acceptance.wrong_per_1000,
            **self.intervals.to_json(),
            'highest_probability': self.highest_probability,
            'accepted_images': list(self.accepted_images),
            **self.verdicts.to_json(),
            'ms': dict(self.timings_ms),
        }


def evaluate_unmapped(
    place_map: PlaceMap,
    bundle: ModelBundle,
    drive: Drive,
    *,
    selection: slice = slice(None),
    config: LocalizerConfig | None = None,
    extractor: FeatureExtractor | None = None,
    pictures: Path | None = None,
    skipped: list[Skip] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Localize images that show nothing of the map; every accepted answer is wrong.

    Args:
        place_map: the map.
        bundle: the model of the map.
        drive: its images, which need no poses. Unreadable ones are left out.
        selection: which of its images.
        config: of the localizer.
        extractor: of the map's features, needed only where they are of a feature bundle.
        pictures: folder for all that write_report writes.
        skipped: gets the images that were left out.
        progress: called for every image.

    Returns:
        Plain JSON: UnmappedMetrics of every image alone, and as `sequence`.

    Raises:
        NetvladError: map and model do not fit together, selected images are the map's own, or no
            image is left.
    """
    localizer = Localizer(bundle, place_map, config or LocalizerConfig(), extractor=extractor)
    shared = shared_recording(place_map, bundle, drive)
    shared.refuse(drive, selection, 'they show nothing of elsewhere')
    localized = localize_drive(
        localizer,
        drive,
        selection=selection,
        needs_poses=False,
        with_similarity=pictures is not None,
        progress=progress,
    )
    if skipped is not None:
        skipped += localized.skipped
    metrics = {
        'images': len(localized.images),
        **UnmappedMetrics.of(localized.single, localized).to_json(),
        'sequence': UnmappedMetrics.of(localized.sequence, localized).to_json(),
        **shared.metrics([answer.similarity for answer in localized.single]),
        'skipped': len(localized.skipped),
        **RunIdentity.of(localizer).to_json(),
    }
    if pictures is not None:
        from netvlad_ros.offline.evaluation.drive_report import drive_run
        from netvlad_ros.offline.report.run_report import write_report

        run = drive_run(metrics, localized, None, localizer, drive, slice_words(selection))
        write_report(run, pictures)
    return metrics
