"""A drive as a folder: `images/`, `poses.csv`, optional `camera.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.image import read_image
from netvlad_ros.offline.image_folder import image_names
from netvlad_ros.offline.poses_file import read_poses
from netvlad_ros.offline.traverse import Frame, Skip, selected_indices


class FolderTraverse:
    """The images that `poses.csv` names, in its order; other images are counted as skipped."""

    T_base_cam: NDArray[np.float64] | None = None
    base_frame: str | None = None
    camera_frame: str | None = None

    def __init__(self, folder: Path, *, frame_id: str = 'map') -> None:
        """Read the poses; raises NetvladError where a line is broken."""
        self.folder = folder
        self.name = folder.resolve().name
        self.frame_id = frame_id
        self._rows = read_poses(folder / 'poses.csv')
        named = {row.image for row in self._rows}
        self.skipped = [
            Skip(image, 'not named in poses.csv')
            for image in image_names(folder, below='images')
            if image not in named
        ]

    def __len__(self) -> int:
        """Count the images that have a pose."""
        return len(self._rows)

    def frames(self, selection: slice = slice(None)) -> Iterator[Frame]:
        """Yield the frames of a slice of `poses.csv`; pixels are read when asked for."""
        for index in selected_indices(selection, len(self._rows)):
            row = self._rows[index]
            yield Frame(
                index=index,
                stamp_ns=row.stamp_ns,
                image=row.image,
                recording=self.name,
                T_map_cam=row.T_map_cam,
                read=partial(read_image, self.folder / row.image),
            )
