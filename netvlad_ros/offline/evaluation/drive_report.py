"""A drive that was localized on a map, as the report's rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import read_thumbnail
from netvlad_ros.offline.drives.drive import Drive, Frame, slice_words
from netvlad_ros.offline.evaluation.drive_metrics import DriveMetrics
from netvlad_ros.offline.evaluation.localized_drive import LocalizedDrive
from netvlad_ros.offline.report.evaluated_run import EvaluatedQuery, EvaluatedRun
from netvlad_ros.offline.report.similarity_matrix import PooledSimilarity

PICTURES = {
    'precision_recall.png': 'Precision and recall over the acceptance threshold',
    'errors.png': 'Errors of the accepted priors',
    'reliability.png': 'What stated probabilities are worth',
}


def drive_run(
    metrics: Mapping[str, Any],
    localized: LocalizedDrive,
    judged: tuple[DriveMetrics, DriveMetrics] | None,
    place_map: PlaceMap,
    drive: Drive,
    config: LocalizerConfig,
    similarity: PooledSimilarity,
    selection: slice,
) -> EvaluatedRun:
    """Bring a localized drive into the shape of a report.

    metrics: plain JSON of the evaluation. judged: every image alone, and as a sequence; None if
    the drive shows nothing of the map, so that every accepted answer is wrong. selection: what was
    asked for of the drive's images.
    """
    nothing = np.zeros(0, dtype=np.int64)
    right = repeat(nothing) if judged is None else judged[0].right_places
    alone, sequence = (
        _Verdicts(answers, judgement)
        for answers, judgement in zip(
            (localized.alone, localized.sequence), judged or (None, None), strict=True
        )
    )
    queries = []
    for i, (image, places) in enumerate(zip(localized.images, right, strict=False)):
        answer, filtered = localized.alone[i], localized.sequence[i]
        queries.append(
            EvaluatedQuery(
                image=image,
                ranked=answer.ranked,
                right=places,
                stamp_ns=int(localized.stamps_ns[i]),
                T_true=localized.truth[i] if len(localized.truth) else None,
                similarity=answer.similarity,
                probability=answer.probability,
                shows_place=alone.shows_place(i),
                status=answer.status.value,
                reason=answer.reason,
                T_prior=None if answer.prior is None else answer.prior.T,
                method='' if answer.prior is None else answer.prior.method,
                error_m=alone.error_m.get(i),
                error_deg=alone.error_deg.get(i),
                wrong=alone.wrong.get(i),
                sequence_status=filtered.status.value,
                sequence_probability=filtered.probability,
                sequence_wrong=sequence.wrong.get(i),
                sequence_error_m=sequence.error_m.get(i),
                sequence_error_deg=sequence.error_deg.get(i),
            )
        )
    map_name = place_map.source if place_map.directory is None else place_map.directory.name
    return EvaluatedRun(
        title=f'Drive “{drive.name}” on map “{map_name}”',
        metrics=metrics,
        configuration={
            'drive': drive.name,
            'slice': slice_words(selection),
            'map': str(place_map.directory or ''),
            'map source': place_map.source,
            'map created': place_map.created,
            'frame': place_map.frame_id,
            **asdict(config),
        },
        queries=queries,
        places=place_map.images,
        T_places=place_map.T_map_cam,
        similarity=similarity.matrix(),
        read_query=_Queries(drive, localized.frames),
        read_place=partial(read_thumbnail, place_map),
        pictures={} if judged is None else PICTURES,
    )


class _Verdicts:
    """What became of the accepted answers, by their row."""

    def __init__(self, answers: tuple[Any, ...], judgement: DriveMetrics | None) -> None:
        self._judgement = judgement
        accepted = [i for i, answer in enumerate(answers) if answer.prior is not None]
        self.wrong = dict.fromkeys(accepted, True)
        self.error_m: dict[int, float] = {}
        self.error_deg: dict[int, float] = {}
        if judgement is not None:
            self.wrong = dict(zip(accepted, judgement.wrong.tolist(), strict=True))
            self.error_m = dict(zip(accepted, judgement.errors_m.tolist(), strict=True))
            self.error_deg = dict(zip(accepted, judgement.errors_deg.tolist(), strict=True))

    def shows_place(self, row: int) -> bool:
        return self._judgement is not None and bool(self._judgement.shows_place[row])


class _Queries:
    """Reads queries again: pixels of a whole drive would not fit.

    A bag is read from its beginning to get at an image: in ascending order, all take one pass.
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
