"""ImageDrive: any images below a folder, without stamps and, unless invented, without poses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.drive import Frame, selected_indices
from netvlad_ros.offline.drives.drive_options import DEFAULT_MAP_FRAME
from netvlad_ros.offline.files.image_files import image_names
from netvlad_ros.offline.progress import Skip

STEP_NS = 500_000_000  # a robot at 1 m/s that keeps an image every half a metre


class ImageDrive:
    """The images of a folder, or those named, in order; stamps are invented, STEP_NS apart."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str] | None = None,
        *,
        T_map_cam: NDArray[np.float64] | None = None,
        camera: CameraModel | None = None,
    ) -> None:
        """Take the images named, or all images below the folder.

        Args:
            folder: of the images.
            names: of n images, relative to the folder; None: all below it.
            T_map_cam: (n, 4, 4) [m], invented poses of the names, in the frame 'map'.
            camera: the calibration of the images.

        Raises:
            NetvladError: there is no image.
        """
        self.folder = folder
        self.name = folder.resolve().name
        self.frame_id = DEFAULT_MAP_FRAME
        self.T_base_cam: NDArray[np.float64] | None = None
        self.base_frame: str | None = None
        self.camera_frame: str | None = None
        self.camera = camera
        self.skipped: tuple[Skip, ...] = ()
        self._names = image_names(folder) if names is None else list(names)
        self._T_map_cam = T_map_cam
        if not self._names:
            raise NetvladError(f'{folder} holds no image')

    def __len__(self) -> int:
        """Count the images."""
        return len(self._names)

    def frames(
        self, selection: slice = slice(None), skipped: list[Skip] | None = None
    ) -> Iterator[Frame]:
        """Yield the frames of a slice of the images; pixels are read when asked for."""
        for index in selected_indices(selection, len(self._names)):
            name = self._names[index]
            yield Frame(
                index=index,
                stamp_ns=(index + 1) * STEP_NS,
                image=name,
                recording=self.name,
                T_map_cam=None if self._T_map_cam is None else self._T_map_cam[index],
                read=partial(read_image, self.folder / name),
            )


def line_poses(count: int) -> NDArray[np.float64]:
    """Invented poses (count, 4, 4): on a line, one metre apart, all with the same direction."""
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, 0, 3] = np.arange(count)
    return T
