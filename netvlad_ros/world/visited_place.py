"""render_place(): a place, rendered into one folder drive for each visit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from netvlad_ros.core.files import atomic_directory
from netvlad_ros.core.geometry import pose_vector
from netvlad_ros.offline.drives.poses_file import HEADER
from netvlad_ros.offline.progress import Progress, no_progress
from netvlad_ros.world.rendering.camera import Camera
from netvlad_ros.world.rendering.photo_shelf import PhotoShelf
from netvlad_ros.world.scenes.visited_rooms import VisitedRooms
from netvlad_ros.world.scenes.visited_town import VisitedTown
from netvlad_ros.world.visit import Visit, plan_visits

_JPEG_QUALITY = 92
_PERIOD_NS = 500_000_000


class Place(Protocol):
    """A place that is visited several times."""

    def camera(self, visit: Visit, size: tuple[int, int]) -> Camera:
        """The camera of a visit, for images of size (width, height) [px]."""
        ...

    def poses(self, visit: Visit, spacing_m: float) -> list[NDArray[np.float64]]:
        """Camera poses T_map_cam, (4, 4), of a visit."""
        ...

    def images(
        self, visit: Visit, poses: list[NDArray[np.float64]], camera: Camera
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.uint8]]]:
        """The images uint8 (H, W, 3) RGB at poses, each with its pose.

        A view that cannot be recognised is left out.
        """
        ...


BUILT: dict[str, Callable[[int, PhotoShelf | None], Place]] = {
    'town': VisitedTown,
    'rooms': VisitedRooms,
}


def render_place(
    place: Place,
    seed: int,
    folder: Path,
    *,
    visits: int,
    size: tuple[int, int],
    spacing_m: float,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> int:
    """Render one place into folder/visit0, folder/visit1, ...

    The same place and arguments give the same pixels. The folder is written completely or not at
    all.

    Args:
        place: what is visited.
        seed: of the visits.
        folder: where the visits are written.
        visits: how many there are.
        size: width, height [px].
        spacing_m: between two images.
        overwrite: whether an existing folder is replaced.
        progress: called with the number of images done and the total.

    Returns:
        The number of images.

    Raises:
        NetvladError: the folder exists already and overwrite is not set, it cannot be written, or a
            photograph is unreadable.
    """
    with atomic_directory(folder, overwrite=overwrite) as temporary:
        planned = plan_visits(seed, visits)
        trajectories = [place.poses(visit, spacing_m) for visit in planned]
        total, before, written = sum(map(len, trajectories)), 0, 0
        for visit, poses in zip(planned, trajectories, strict=True):
            camera = place.camera(visit, size)
            frames = _counted(place.images(visit, poses, camera), before, total, progress)
            written += write_visit(
                temporary / f'visit{visit.number}', camera, visit.start_ns, frames
            )
            before += len(poses)
        progress(total, total)
    return written


def write_visit(
    folder: Path,
    camera: Camera,
    start_ns: int,
    frames: Iterable[tuple[NDArray[np.float64], NDArray[np.uint8]]],
) -> int:
    """Write a folder drive: images/, poses.csv and camera.yaml.

    Args:
        folder: that is created.
        camera: of all images.
        start_ns: stamp of the first image.
        frames: pose T_map_cam (4, 4) and image uint8 (H, W, 3) RGB of each.

    Returns:
        The number of images.
    """
    (folder / 'images').mkdir(parents=True)
    rows = [','.join(HEADER)]
    for number, (T_map_cam, rgb) in enumerate(frames):
        name = f'images/{number:05d}.jpg'
        quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        _, data = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), quality)
        (folder / name).write_bytes(data.tobytes())
        stamp_ns = start_ns + number * _PERIOD_NS
        pose = ','.join(f'{value:.6f}' for value in pose_vector(T_map_cam))
        rows.append(f'{name},{stamp_ns // 10**9}.{stamp_ns % 10**9:09d},{pose}')
    (folder / 'poses.csv').write_text('\n'.join(rows) + '\n', encoding='utf-8')
    (folder / 'camera.yaml').write_text(_calibration(camera), encoding='utf-8')
    return len(rows) - 1


def _counted(
    frames: Iterator[tuple[NDArray[np.float64], NDArray[np.uint8]]],
    before: int,
    total: int,
    progress: Progress,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.uint8]]]:
    for done, frame in enumerate(frames, start=before + 1):
        yield frame
        progress(done, total)


def _calibration(camera: Camera) -> str:
    def matrix(values: NDArray[np.float64]) -> dict[str, object]:
        return {'rows': values.shape[0], 'cols': values.shape[1], 'data': values.ravel().tolist()}

    K = camera.K
    content = {
        'image_width': camera.width,
        'image_height': camera.height,
        'camera_name': 'rendered',
        'camera_matrix': matrix(K),
        'distortion_model': 'plumb_bob',
        'distortion_coefficients': matrix(np.zeros((1, 5))),
        'rectification_matrix': matrix(np.eye(3)),
        'projection_matrix': matrix(np.hstack([K, np.zeros((3, 1))])),
    }
    return yaml.safe_dump(content, sort_keys=False)
