"""A localized drive as an EvaluatedRun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.place_map.storage import read_thumbnail
from netvlad_ros.offline.drives.drive import Drive, Frame
from netvlad_ros.offline.evaluation.drive_metrics import DriveMetrics
from netvlad_ros.offline.evaluation.localized_drive import LocalizedDrive, MatchSummary
from netvlad_ros.offline.report.evaluated_run import EvaluatedQuery, EvaluatedRun

PICTURES = {
    'precision_recall.png': 'Precision and recall over the acceptance threshold',
    'errors.png': 'Errors of the accepted priors',
    'reliability.png': 'What stated probabilities are worth',
}


def drive_run(
    metrics: Mapping[str, Any],
    localized: LocalizedDrive,
    evaluated: tuple[DriveMetrics, DriveMetrics] | None,
    localizer: Localizer,
    drive: Drive,
    selection: str,
) -> EvaluatedRun:
    """Bring a localized drive into the form of a report.

    Args:
        metrics: JSON of the evaluation.
        localized: the answers.
        evaluated: metrics of every image alone, and as a sequence; None if the drive shows
            nothing of the map, so that every accepted answer is wrong.
        localizer: has the map and the configuration.
        drive: has the pictures.
        selection: which of the drive's images were asked for, in words.
    """
    place_map = localizer.place_map
    map_name = place_map.source if place_map.directory is None else place_map.directory.name
    return EvaluatedRun(
        title=f'Drive “{drive.name}” on map “{map_name}”',
        metrics=metrics,
        configuration={
            'drive': drive.name,
            'slice': selection,
            'map': str(place_map.directory or ''),
            'map source': place_map.source,
            'map created': place_map.created,
            'frame': place_map.frame_id,
            **asdict(localizer.config),
        },
        queries=_queries(localized, evaluated),
        places=place_map.images,
        T_places=place_map.T_map_cam,
        similarity=localized.similarity,
        read_query=_QueryReader(drive, localized.frames),
        read_place=partial(read_thumbnail, place_map),
        pictures={} if evaluated is None else PICTURES,
    )


def _queries(
    localized: LocalizedDrive, evaluated: tuple[DriveMetrics, DriveMetrics] | None
) -> list[EvaluatedQuery]:
    single_metrics, sequence_metrics = evaluated or (None, None)
    outcomes = _outcomes(localized.single, single_metrics)
    in_sequence = _outcomes(localized.sequence, sequence_metrics)
    queries = []
    for i, image in enumerate(localized.images):
        answer, filtered = localized.single[i], localized.sequence[i]
        queries.append(
            EvaluatedQuery(
                image=image,
                ranked=answer.ranked,
                right=() if single_metrics is None else single_metrics.right_places[i],
                stamp_ns=int(localized.stamps_ns[i]),
                T_true=localized.truth[i] if len(localized.truth) else None,
                similarity=answer.similarity,
                probability=answer.probability,
                shows_place=single_metrics is not None and bool(single_metrics.shows_place[i]),
                status=answer.status.value,
                reason=answer.reason,
                T_prior=None if answer.prior is None else answer.prior.T,
                method='' if answer.prior is None else answer.prior.method,
                error_m=outcomes[i].error_m,
                error_deg=outcomes[i].error_deg,
                wrong=outcomes[i].wrong,
                sequence_status=filtered.status.value,
                sequence_probability=filtered.probability,
                sequence_wrong=in_sequence[i].wrong,
                sequence_error_m=in_sequence[i].error_m,
                sequence_error_deg=in_sequence[i].error_deg,
            )
        )
    return queries


class _Outcome(NamedTuple):
    """Whether an accepted answer is wrong, and its errors; None where it was not accepted."""

    wrong: bool | None = None
    error_m: float | None = None
    error_deg: float | None = None


def _outcomes(answers: Sequence[MatchSummary], metrics: DriveMetrics | None) -> list[_Outcome]:
    """One for each answer; without metrics every accepted answer is wrong."""
    outcomes = []
    row = 0
    for answer in answers:
        if answer.prior is None:
            outcomes.append(_Outcome())
        elif metrics is None:
            outcomes.append(_Outcome(wrong=True))
        else:
            outcomes.append(
                _Outcome(
                    bool(metrics.wrong[row]),
                    float(metrics.errors_m[row]),
                    float(metrics.errors_deg[row]),
                )
            )
            row += 1
    return outcomes


class _QueryReader:
    """Reads queries again, as the pixels of a whole drive would not fit in memory.

    A bag is read from its beginning to find an image. In ascending order, one pass reads them all.
    """

    def __init__(self, drive: Drive, frames: tuple[int, ...]) -> None:
        self._drive, self._frames = drive, frames
        self._ahead: Iterator[Frame] = iter(())
        self._next = len(drive)

    def __call__(self, row: int) -> NDArray[np.uint8] | None:
        index = self._frames[row]
        if index < self._next:
            self._ahead = self._drive.frames(slice(index, None))
        found = next((frame for frame in self._ahead if frame.index >= index), None)
        self._next = index + 1
        return None if found is None or found.index > index else found.read()
