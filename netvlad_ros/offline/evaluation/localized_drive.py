"""What the robot's own Localizer answers to the images of a drive, both ways."""

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
    """What is kept of a Match: features and descriptors of a whole drive would not fit.

    ranked: map rows of the candidates, best first. similarity: of the best one. probability: that
    `estimate` is right.
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
        """Keep what is judged."""
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


@dataclass(frozen=True)
class LocalizedDrive:
    """n images in order: int64 stamps_ns (n,), names, true poses (n, 4, 4) where they were needed.

    frames: (n,), where they stand in the drive's list of images. alone: every image by itself.
    sequence: what the robot does, with belief over time. skipped: the images that were left out,
    unreadable, without a needed pose or the map's own, and why.
    """

    stamps_ns: NDArray[np.int64]
    frames: tuple[int, ...]
    images: tuple[str, ...]
    truth: NDArray[np.float64]
    alone: tuple[MatchSummary, ...]
    sequence: tuple[MatchSummary, ...]
    skipped: tuple[Skip, ...]


def localize_drive(
    localizer: Localizer,
    drive: Drive,
    *,
    selection: slice = slice(None),
    needs_poses: bool = True,
    leave_out: Collection[int] = (),
    similarity: PooledSimilarity | None = None,
    progress: Progress = no_progress,
) -> LocalizedDrive:
    """Localize the images of a drive, from a cold start.

    needs_poses: leave out images without a pose; else `truth` stays empty. leave_out: indices of
    the map's own images. similarity: gets the descriptors of all images that are not left out.
    Raises NetvladError if nothing is left.
    """
    total = len(selected_indices(selection, len(drive)))
    stamps, frames, images, truth = [], [], [], []
    alone, sequence = [], []
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
        single, filtered = localizer.both(rgb, frame.stamp_ns, camera=drive.camera)
        alone.append(MatchSummary.of(single))
        sequence.append(MatchSummary.of(filtered))
        if similarity is not None:
            similarity.add(single.descriptor)
        stamps.append(frame.stamp_ns)
        frames.append(frame.index)
        images.append(frame.image)
        if needs_poses:
            truth.append(frame.T_map_cam)
    progress(total, total)
    if not alone:
        reasons = '; '.join(skip_sentences(skipped)) or 'the slice is empty'
        raise NetvladError(f'{drive.name}: no image is left to judge ({reasons})')
    return LocalizedDrive(
        stamps_ns=np.array(stamps, dtype=np.int64),
        frames=tuple(frames),
        images=tuple(images),
        truth=np.array(truth, dtype=np.float64).reshape(-1, 4, 4),
        alone=tuple(alone),
        sequence=tuple(sequence),
        skipped=tuple(skipped),
    )
