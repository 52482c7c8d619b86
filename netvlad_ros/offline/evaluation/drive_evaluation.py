"""A drive evaluated on a map with the robot's own Localizer: `netvlad eval --map`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import FeatureExtractor
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.offline.drives.drive import Drive, slice_words
from netvlad_ros.offline.evaluation.drive_metrics import DriveMetrics, Tolerances, score_answers
from netvlad_ros.offline.evaluation.localized_drive import localize_drive
from netvlad_ros.offline.evaluation.run_identity import RunIdentity
from netvlad_ros.offline.mapping.shared_recording import check_frame, shared_recording
from netvlad_ros.offline.metrics.acceptance import mode_json
from netvlad_ros.offline.metrics.accuracy import RECALL_AT
from netvlad_ros.offline.progress import Progress, Skip, no_progress

DEFAULT_RADIUS_M = 1.0
OTHER_IMAGES = (
    'choose another drive, or a part of this one without them (--slice), or pass --same-recording '
    'to judge by the other images of the recording'
)


@dataclass(frozen=True, eq=False)
class MapEvaluation:
    """The metrics of a drive on a map.

    Attributes:
        single: of every image alone, comparable to papers.
        sequence: of the same images with belief over time, as on the robot.
        modes: name -> metrics, with verification and belief on and off; empty unless compared.
        recording: whether the drive shares its recording with the map, as metrics.json has it.
        skipped: how many images were left out.
        ms_per_image: mean time to localize an image [ms].
        tolerances: what counted as right.
        identity: the map and the model.
    """

    single: DriveMetrics
    sequence: DriveMetrics
    modes: Mapping[str, DriveMetrics]
    recording: Mapping[str, Any]
    skipped: int
    ms_per_image: float
    tolerances: Tolerances
    identity: RunIdentity

    def to_json(self) -> dict[str, Any]:
        """The metrics as metrics.json has them."""
        settings = {
            name: mode_json(metrics.acceptance, metrics.curve)
            for name, metrics in self.modes.items()
        }
        return {
            **self.single.to_json(),
            'sequence': self.sequence.to_json(),
            **({'settings': settings} if settings else {}),
            **self.recording,
            'skipped': self.skipped,
            'ms_per_image': self.ms_per_image,
            **self.tolerances.to_json(),
            **self.identity.to_json(),
        }


def evaluate_map(
    place_map: PlaceMap,
    bundle: ModelBundle,
    drive: Drive,
    *,
    selection: slice = slice(None),
    radius_m: float = DEFAULT_RADIUS_M,
    angle_deg: float | None = None,
    config: LocalizerConfig | None = None,
    extractor: FeatureExtractor | None = None,
    compare: bool = False,
    same_recording: bool = False,
    pictures: Path | None = None,
    skipped: list[Skip] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Localize every image of a drive and compare the answers with its poses.

    A query is answerable if the map has a right place. Precision, recall over the acceptance
    threshold and reliability count an answer as right if it shows the right place: its pose lies
    within the localizer's own place radius.

    Args:
        place_map: the map.
        bundle: the model of the map.
        drive: its images. Those without a pose, and unreadable ones, are left out.
        selection: which of its images.
        radius_m: a map image, and an accepted prior, is right within so many metres of the truth.
        angle_deg: and within so many degrees of rotation; None = any.
        config: of the localizer.
        extractor: of the map's features, needed only where they are of a feature bundle.
        compare: localize once more without verification, and compare the modes.
        same_recording: the drive made the map: leave out the map's own images, not refuse them.
        pictures: folder for precision_recall.png, reliability.png, errors.png and all that
            write_report writes.
        skipped: gets the images that were left out.
        progress: called for every image.

    Returns:
        MapEvaluation as JSON.

    Raises:
        NetvladError: map, model and drive do not fit together, selected images are the map's own,
            or no image is left.
    """
    if not radius_m > 0 or (angle_deg is not None and not angle_deg > 0):
        raise NetvladError('radius and angle must be above 0')
    check_frame(place_map, drive)
    config = config or LocalizerConfig(top_k=max(RECALL_AT))
    localizer = Localizer(bundle, place_map, config, extractor=extractor)
    tolerances = Tolerances(radius_m, angle_deg, *localizer.place_radius)
    shared = shared_recording(place_map, bundle, drive)
    if not same_recording:
        shared.refuse(drive, selection, OTHER_IMAGES)
    localized = localize_drive(
        localizer,
        drive,
        selection=selection,
        leave_out=shared.own,
        with_similarity=pictures is not None,
        progress=progress,
    )
    if skipped is not None:
        skipped += localized.skipped
    single, sequence = (
        score_answers(answers, localized, place_map.T_map_cam, tolerances)
        for answers in (localized.single, localized.sequence)
    )
    modes: dict[str, DriveMetrics] = {}
    if compare:
        unverified = localize_drive(
            Localizer(bundle, place_map, replace(config, verification=False), extractor=extractor),
            drive,
            selection=selection,
            leave_out=shared.own,
            progress=progress,
        )
        unverified_single, unverified_sequence = (
            score_answers(answers, unverified, place_map.T_map_cam, tolerances)
            for answers in (unverified.single, unverified.sequence)
        )
        modes = {
            'verification, no belief': single,
            'verification, belief': sequence,
            'no verification, no belief': unverified_single,
            'no verification, belief': unverified_sequence,
        }
    evaluation = MapEvaluation(
        single=single,
        sequence=sequence,
        modes=modes,
        recording=shared.metrics([answer.similarity for answer in localized.single]),
        skipped=len(localized.skipped),
        ms_per_image=float(np.mean([answer.timings_ms['total'] for answer in localized.single])),
        tolerances=tolerances,
        identity=RunIdentity.of(localizer),
    )
    metrics = evaluation.to_json()
    if pictures is not None:
        from netvlad_ros.offline.evaluation.drive_plots import draw_modes
        from netvlad_ros.offline.evaluation.drive_report import drive_run
        from netvlad_ros.offline.report.run_report import write_report

        draw_modes(modes or {'every image alone': single, 'as a sequence': sequence}, pictures)
        run = drive_run(
            metrics, localized, (single, sequence), localizer, drive, slice_words(selection)
        )
        write_report(run, pictures)
    return metrics
