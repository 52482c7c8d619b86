"""What the localizer answers to the images of a drive: each one alone, and as a sequence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.decision.match import Match, Status
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.pose.prior import PosePrior
from netvlad_ros.offline.drives.drive import Drive, read_or_skip, selected_indices
from netvlad_ros.offline.progress import Progress, Skip, no_progress, skip_sentences
from netvlad_ros.offline.report.similarity_matrix import PooledSimilarity


@dataclass(frozen=True)
class MatchSummary:
    """What is kept of a Match: features and descriptors of a whole drive would not fit in memory.

    Attributes:
        status: the verdict.
        reason: why, in words.
        ranked: map rows of the candidates, best first.
        similarity: cosine of the best candidate.
        prior: the accepted pose; None if nothing was accepted.
        estimate: the most probable pose, accepted or not.
        probability: that the estimate shows the right place.
        timings_ms: stage -> time [ms].
    """

    status: Status
    reason: str
    ranked: tuple[int, ...]
    similarity: float
    prior: PosePrior | None
    estimate: PosePrior
    probability: float
    timings_ms: Mapping[str, float]

    @classmethod
    def of(cls, match: Match) -> MatchSummary:
        """Keep what is evaluated."""
        return cls(
            status=match.status,
            reason=match.reason,
            ranked=tuple(candidate.index for candidate in match.candidates),
            similarity=match.candidates[0].similarity,
            prior=match.prior,
            estimate=match.estimate,
            probability=match.probability,
            timings_ms=match.timings_ms,
        )


@dataclass(frozen=True, eq=False)
class LocalizedDrive:
    """The answers to n images of a drive, in order.

    Attributes:
        stamps_ns: int64 (n,), when the images were taken [ns].
        frames: (n,), their indices in the drive's list of images.
        images: (n,), their names.
        truth: (n, 4, 4), true camera poses in the map frame; (0, 4, 4) if none were needed.
        single: (n,), the answer to every image alone.
        sequence: (n,), the answers with belief over time, as on the robot.
        skipped: images that were left out: unreadable, without a needed pose, or in the map.
        similarity: float32 (rows, columns), pooled cosines of images and places; None unless asked.
    """

    stamps_ns: NDArray[np.int64]
    frames: tuple[int, ...]
    images: tuple[str, ...]
    truth: NDArray[np.float64]
    single: tuple[MatchSummary, ...]
    sequence: tuple[MatchSummary, ...]
    skipped: tuple[Skip, ...]
    similarity: NDArray[np.float32] | None = None


def localize_drive(
    localizer: Localizer,
    drive: Drive,
    *,
    selection: slice = slice(None),
    needs_poses: bool = True,
    leave_out: Collection[int] = (),
    with_similarity: bool = False,
    progress: Progress = no_progress,
) -> LocalizedDrive:
    """Localize the images of a drive, from a cold start.

    Args:
        localizer: gets all images in order.
        drive: its images.
        selection: which of the images.
        needs_poses: leave out images without a pose; if False, `truth` stays empty.
        leave_out: indices of images that are places of the map itself.
        with_similarity: compare every image with every place, for a picture.
        progress: called for every image.

    Raises:
        NetvladError: no image is left.
    """
    total = len(selected_indices(selection, len(drive)))
    pooled = PooledSimilarity(localizer.place_map.descriptors, total) if with_similarity else None
    stamps, frames, images, truth = [], [], [], []
    single, sequence = [], []
    skipped: list[Skip] = []
    localizer.reset()
    for done, frame in enumerate(drive.frames(selection, skipped)):
        progress(done, total)
        if frame.index in leave_out:
            skipped.append(Skip(frame.image, 'a place of the map itself'))
            continue
        if needs_poses and frame.T_map_cam is None:
            continue
        rgb = read_or_skip(frame, skipped)
        if rgb is None:
            continue
        by_itself, in_sequence = localizer.both(rgb, frame.stamp_ns, camera=drive.camera)
        single.append(MatchSummary.of(by_itself))
        sequence.append(MatchSummary.of(in_sequence))
        if pooled is not None:
            pooled.add(by_itself.descriptor)
        stamps.append(frame.stamp_ns)
        frames.append(frame.index)
        images.append(frame.image)
        if needs_poses:
            truth.append(frame.T_map_cam)
    progress(total, total)
    if not single:
        reasons = '; '.join(skip_sentences(skipped)) or 'the slice is empty'
        raise NetvladError(f'{drive.name}: no image is left to judge ({reasons})')
    return LocalizedDrive(
        stamps_ns=np.array(stamps, dtype=np.int64),
        frames=tuple(frames),
        images=tuple(images),
        truth=np.array(truth, dtype=np.float64).reshape(-1, 4, 4),
        single=tuple(single),
        sequence=tuple(sequence),
        skipped=tuple(skipped),
        similarity=None if pooled is None else pooled.matrix(),
    )
