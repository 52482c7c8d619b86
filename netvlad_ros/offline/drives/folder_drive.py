"""FolderDrive: a folder with `images/`, `poses.csv` and, optionally, `camera.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.camera_file import read_camera_model
from netvlad_ros.offline.drives.drive import NO_CALIBRATION, Frame, selected_indices
from netvlad_ros.offline.drives.drive_options import (
    DEFAULT_BASE_FRAME,
    DEFAULT_MAP_FRAME,
    BagOptions,
)
from netvlad_ros.offline.drives.poses_file import read_poses
from netvlad_ros.offline.files.image_files import image_names
from netvlad_ros.offline.progress import Skip


class FolderDrive:
    """The images that `poses.csv` names, in its order; other images are counted as skipped."""

    def __init__(self, folder: Path, options: BagOptions) -> None:
        """Read the poses.

        Args:
            folder: the drive.
            options: those that a folder does not contain are used: map_frame, T_base_cam,
                base_frame, camera_frame and camera_file.

        Raises:
            NetvladError: a line of `poses.csv` or the camera file that was asked for is broken.
        """
        self.folder = folder
        self.name = folder.resolve().name
        self.frame_id = options.map_frame or DEFAULT_MAP_FRAME
        self.T_base_cam = options.T_base_cam
        mounted = self.T_base_cam is not None
        self.base_frame = (options.base_frame or DEFAULT_BASE_FRAME) if mounted else None
        self.camera_frame = options.camera_frame
        self._poses = read_poses(folder / 'poses.csv')
        named = set(self._poses.images)
        unnamed = [
            Skip(image, 'not named in poses.csv')
            for image in image_names(folder, below='images')
            if image not in named
        ]
        self.camera, refused = _camera(folder, options.camera_file)
        self.skipped = (*unnamed, *refused)

    def __len__(self) -> int:
        """Count the images that have a pose."""
        return len(self._poses)

    def frames(
        self, selection: slice = slice(None), skipped: list[Skip] | None = None
    ) -> Iterator[Frame]:
        """Yield the frames of a slice of `poses.csv`; pixels are read when asked for."""
        poses = self._poses
        for index in selected_indices(selection, len(poses)):
            image = poses.images[index]
            yield Frame(
                index=index,
                stamp_ns=int(poses.stamps_ns[index]),
                image=image,
                recording=self.name,
                T_map_cam=poses.T_map_cam[index],
                read=partial(read_image, self.folder / image),
            )


def _camera(folder: Path, camera_file: Path | None) -> tuple[CameraModel | None, list[Skip]]:
    """The calibration that was asked for, else the drive's own, and why there is none."""
    if camera_file is not None:
        return read_camera_model(camera_file), []
    own = folder / 'camera.yaml'
    if not own.exists():
        return None, []
    try:
        return read_camera_model(own), []
    except NetvladError as error:
        # Most work with a drive needs no calibration.
        return None, [Skip(f'camera.yaml ({error})', NO_CALIBRATION)]
