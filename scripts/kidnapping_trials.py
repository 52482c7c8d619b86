"""Trials of kidnapping: images of a drive before and after an event, and how they are localized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, distance_m, invert, rotation_angle_deg
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.offline.drives.drive import Drive, Frame

EVENTS = ('woken up', 'carried', 'covered', 'covered, carried')
MODES = ('alone', 'sequence', 'sequence, odometry')
MAPPED_M = 1.0  # a frame at most this far from a mapped place can be localized
KIDNAPPED_M = 10.0  # least distance between the places before and after kidnapping
RIGHT_M, RIGHT_DEG = 2.0, 30.0  # largest errors of a right prior
BEFORE, COVERED, AFTER = 20, 20, 30  # images
ODOMETRY_ERROR = 0.02  # standard deviation, as a share of each step


@dataclass(frozen=True)
class TrialImage:
    """One image of a trial.

    Attributes:
        frame: index in the drive; None = the camera was covered.
        T_map_cam: (4, 4), where it was taken.
        was_kidnapped: whether the camera was kidnapped just before it.
    """

    frame: int | None
    T_map_cam: Array
    was_kidnapped: bool = False


@dataclass(frozen=True)
class Trial:
    """The result of one event in one mode.

    Attributes:
        event: one of EVENTS.
        mode: one of MODES.
        frames: of the drive: the last before the event, the first one visible after it.
        first_right: images from the event to the first right prior; None = more than AFTER.
        right: right priors after the event.
        wrong: wrong priors after the event.
        wrong_while_covered: wrong priors while the camera was covered.
        accepted_before: priors before the event.
    """

    event: str
    mode: str
    frames: tuple[int, int]
    first_right: int | None
    right: int
    wrong: int
    wrong_while_covered: int
    accepted_before: int


class TrialSource:
    """Makes trials from the frames of a drive that have a pose and are on the map."""

    def __init__(self, drive: Drive, place_map: PlaceMap) -> None:
        if drive.frame_id != place_map.frame_id:
            raise NetvladError(
                f"the drive's poses are in '{drive.frame_id}', the map's in "
                f"'{place_map.frame_id}'; nothing can be compared"
            )
        self.camera = drive.camera
        # Some bags free the image together with its frame. A few hundred images fit in memory.
        self._images: list[NDArray[np.uint8]] = []
        poses: list[Array] = []
        stamps: list[int] = []
        for frame in drive.frames():
            self._add(frame, poses, stamps)
        if len(poses) < BEFORE + COVERED + AFTER:
            raise NetvladError(f'{drive.name} has only {len(poses)} images with a pose')
        self.T_map_cam = np.array(poses)
        self.period_ns = int(np.median(np.diff(stamps)))
        self._is_mapped = np.array(
            [distance_m(place_map.T_map_cam, T).min() <= MAPPED_M for T in poses]
        )

    def _add(self, frame: Frame, poses: list[Array], stamps: list[int]) -> None:
        if frame.T_map_cam is None:
            return
        self._images.append(frame.read())
        poses.append(frame.T_map_cam)
        stamps.append(frame.stamp_ns)

    def pixels(self, image: TrialImage) -> NDArray[np.uint8]:
        """Pixels, uint8 (H, W, 3); black if the camera was covered."""
        return self._images[0] * 0 if image.frame is None else self._images[image.frame]

    def trials(
        self, count: int, rng: np.random.Generator
    ) -> Iterator[tuple[str, list[TrialImage], int]]:
        """Each event `count` times: its name, the images, and how many of them are before it."""
        first = [i for i in range(BEFORE, len(self._images)) if self._mapped(i - BEFORE, i + 1)]
        second = [j for j in range(len(self._images) - AFTER) if self._mapped(j, j + AFTER)]
        pairs = [
            (i, j)
            for i in first
            for j in second
            if distance_m(self.T_map_cam[i], self.T_map_cam[j]) >= KIDNAPPED_M
        ]
        through = [i for i in first if i + COVERED + 1 in second]
        if not pairs or not through:
            raise NetvladError('too little of this drive is mapped to carry the camera about on it')
        for i, j in rng.choice(pairs, count, replace=False):
            before, after = self._trial_images(i - BEFORE, i + 1), self._trial_images(j, j + AFTER)
            kidnapped = [TrialImage(j, self.T_map_cam[j], was_kidnapped=True), *after[1:]]
            covered = [TrialImage(None, self.T_map_cam[i])] * COVERED
            yield EVENTS[0], after, 0
            yield EVENTS[1], before + kidnapped, len(before)
            yield EVENTS[3], before + covered + kidnapped, len(before)
        for i in rng.choice(through, count, replace=False):
            before = self._trial_images(i - BEFORE, i + 1)
            hidden = self._trial_images(i + 1, i + 1 + COVERED)
            covered = [TrialImage(None, image.T_map_cam) for image in hidden]
            after = self._trial_images(i + 1 + COVERED, i + 1 + COVERED + AFTER)
            yield EVENTS[2], before + covered + after, len(before)

    def _mapped(self, start: int, stop: int) -> bool:
        return bool(self._is_mapped[start:stop].all())

    def _trial_images(self, start: int, stop: int) -> list[TrialImage]:
        return [TrialImage(int(i), self.T_map_cam[i]) for i in range(start, stop)]


def matches(
    localizer: Localizer, source: TrialSource, images: list[TrialImage], mode: str
) -> Iterator[Match]:
    """The match of each image, in one mode."""
    localizer.reset()
    rng = np.random.default_rng(0)
    T_odom_cam = np.eye(4)
    for n, image in enumerate(images):
        if n and not image.was_kidnapped:
            step = invert(images[n - 1].T_map_cam) @ image.T_map_cam
            step[:3, 3] *= rng.normal(1.0, ODOMETRY_ERROR)
            T_odom_cam = T_odom_cam @ step
        rgb, stamp_ns = source.pixels(image), n * source.period_ns
        if mode == 'alone':
            yield localizer.recognize(rgb, stamp_ns, camera=source.camera)
        else:
            odometry = T_odom_cam if mode == 'sequence, odometry' else None
            yield localizer.step(rgb, stamp_ns, camera=source.camera, T_odom_cam=odometry)


def run(
    localizer: Localizer,
    source: TrialSource,
    event: str,
    images: list[TrialImage],
    start: int,
    mode: str,
) -> Trial:
    """Run one event in one mode.

    Args:
        localizer: that is tested.
        source: of the images.
        event: one of EVENTS.
        images: before and after the event.
        start: how many of them are before the event.
        mode: one of MODES.
    """
    right, wrong, hidden, before = [], 0, 0, 0
    seen = 0
    for n, match in enumerate(matches(localizer, source, images, mode)):
        image = images[n]
        is_accepted = match.prior is not None
        if n < start:
            before += is_accepted
            continue
        seen += image.frame is not None
        if match.prior is None:
            continue
        off_m = float(distance_m(match.prior.T, image.T_map_cam))
        off_deg = float(rotation_angle_deg(match.prior.T, image.T_map_cam))
        if image.frame is None:
            hidden += off_m > RIGHT_M or off_deg > RIGHT_DEG
        elif off_m <= RIGHT_M and off_deg <= RIGHT_DEG:
            right.append(seen)
        else:
            wrong += 1
    last = images[start - 1].frame if start else -1
    first = next(image.frame for image in images[start:] if image.frame is not None)
    return Trial(
        event,
        mode,
        (int(last or 0), int(first)),
        right[0] if right else None,
        len(right),
        wrong,
        hidden,
        before,
    )
