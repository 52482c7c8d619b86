"""A drive as the offline tools see it: images in order, with camera poses, wherever recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError

NO_CALIBRATION = 'no camera calibration of use'


@dataclass(frozen=True)
class Frame:
    """One image of a drive.

    index: position in the drive's ordered list of images; stamp_ns: when it was taken [ns];
    image: its name within the recording; recording: name of the drive; T_map_cam: (4, 4) float64,
    camera optical frame in the map frame, or None where the drive knows no pose; read: loads the
    pixels, uint8 (H, W, 3) RGB, and raises NetvladError if they are unreadable.
    """

    index: int
    stamp_ns: int
    image: str
    recording: str
    T_map_cam: NDArray[np.float64] | None
    read: Callable[[], NDArray[np.uint8]] = field(repr=False)


class Skip(NamedTuple):
    """An image, or another part of a drive, that was left out, and why."""

    image: str
    reason: str


class Traverse(Protocol):
    """An ordered list of images with poses, read one by one so that drives of any length fit.

    frame_id: the frame that the poses are given in; T_base_cam: (4, 4) float64 where the drive
    knows how the camera sits on the robot; camera: the model of the images, None where unknown;
    skipped: what was left out so far, grown by the reader and by whoever works through the frames.
    """

    name: str
    frame_id: str
    T_base_cam: NDArray[np.float64] | None
    base_frame: str | None
    camera_frame: str | None
    camera: CameraModel | None
    skipped: list[Skip]

    def __len__(self) -> int:
        """Count the images, those without a pose included."""
        ...

    def frames(self, selection: slice = slice(None)) -> Iterator[Frame]:
        """Yield the frames of a slice of the ordered list of images, in order."""
        ...


def selected_indices(selection: slice, length: int) -> range:
    """Indices that a slice picks from a list of this length; only steps forward make sense here."""
    indices = range(*selection.indices(length))
    if indices.step < 1:
        raise NetvladError(
            'a slice of a drive must step forward: use START:STOP or START:STOP:STEP'
        )
    return indices


def slice_words(selection: slice | None) -> str:
    """Write a slice as it is typed, START:STOP:STEP; of all images it is '::'."""
    ends = (None,) * 3 if selection is None else (selection.start, selection.stop, selection.step)
    return ':'.join('' if end is None else str(end) for end in ends)


def skip_sentences(skips: Iterable[Skip], *, names: int = 5) -> list[str]:
    """One sentence for each reason, with the count and the first few names."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for skip in skips:
        by_reason[skip.reason].append(skip.image)
    sentences = []
    for reason, images in by_reason.items():
        more = f' and {len(images) - names} more' if len(images) > names else ''
        sentences.append(f'{len(images)} skipped, {reason}: {", ".join(images[:names])}{more}')
    return sentences
