"""Drive and Frame: images in order, with camera poses, whatever they were recorded in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.camera.image import check_rgb
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.progress import Skip

NO_CALIBRATION = 'no camera calibration of use'


@dataclass(frozen=True)
class Frame:
    """One image of a drive.

    Attributes:
        index: position in the drive's ordered list of images.
        stamp_ns: when the image was taken [ns].
        image: its name within the recording.
        recording: name of the drive.
        T_map_cam: (4, 4) float64, camera optical frame in the map frame; None where unknown.
        read: loads the pixels, uint8 (H, W, 3) RGB. Raises NetvladError if they are unreadable.
    """

    index: int
    stamp_ns: int
    image: str
    recording: str
    T_map_cam: NDArray[np.float64] | None
    read: Callable[[], NDArray[np.uint8]] = field(repr=False)


class Drive(Protocol):
    """An ordered list of images with poses. Images are read one by one: drives of any length fit.

    Attributes:
        name: of the recording.
        frame_id: the frame that the poses are given in.
        T_base_cam: (4, 4) float64, where the camera sits on the robot; None where unknown.
        base_frame: the robot's frame that T_base_cam is given in; None where unknown.
        camera_frame: the optical frame of the camera; None where unknown.
        camera: the model of the images, None where unknown.
        skipped: what was left out when the drive was opened. Reading adds nothing to it.
    """

    name: str
    frame_id: str
    T_base_cam: NDArray[np.float64] | None
    base_frame: str | None
    camera_frame: str | None
    camera: CameraModel | None
    skipped: tuple[Skip, ...]

    def __len__(self) -> int:
        """Count the images, those without a pose included."""
        ...

    def frames(
        self, selection: slice = slice(None), skipped: list[Skip] | None = None
    ) -> Iterator[Frame]:
        """Yield the frames of a slice of the ordered list of images, in order.

        Args:
            selection: the slice.
            skipped: gets what this reading leaves out.
        """
        ...


def selected_indices(selection: slice, length: int) -> range:
    """Indices that a slice selects from a list. Raises NetvladError unless it steps forward."""
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


def read_or_skip(frame: Frame, skipped: list[Skip]) -> NDArray[np.uint8] | None:
    """Pixels of a frame, uint8 (H, W, 3) RGB; None, and an entry in `skipped`, if unreadable."""
    try:
        rgb = frame.read()
        check_rgb(rgb)
    except NetvladError as error:
        skipped.append(Skip(f'{frame.image} ({error})', 'unreadable'))
        return None
    return rgb
