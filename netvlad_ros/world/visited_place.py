"""render_place(): a place, rendered into one folder drive for each visit."""

from __future__ import annotations

import math
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
from netvlad_ros.world.rendering.quad import Quad
from netvlad_ros.world.rendering.renderer import Renderer
from netvlad_ros.world.scenes.visited_rooms import VisitedRooms
from netvlad_ros.world.scenes.visited_town import VisitedTown
from netvlad_ros.world.visit import Visit, plan_visits

_SUPERSAMPLING = 1.5  # a third faster than 2 of the demo; as smooth after the sensor's noise
_EDGE = 0.35  # gradient of an edge pixel, as a share of the mean brightness
_STRUCTURED = 0.15  # share of edge pixels in a view that can be recognised
_JPEG_QUALITY = 92
_PERIOD_NS = 500_000_000


class Place(Protocol):
    """A world that is visited several times.

    Attributes:
        view_deg: horizontal field of view of the camera.
    """

    view_deg: float

    def quads(self, visit: Visit) -> list[Quad]:
        """The surfaces of a visit, with its light."""
        ...

    def poses(self, visit: Visit, spacing_m: float) -> list[NDArray[np.float64]]:
        """Camera poses T_map_cam, (4, 4), of a visit."""
        ...


KINDS: dict[str, Callable[[int, PhotoShelf | None], Place]] = {
    'town': VisitedTown,
    'rooms': VisitedRooms,
}


def render_place(
    kind: str,
    seed: int,
    folder: Path,
    *,
    visits: int,
    size: tuple[int, int],
    spacing_m: float,
    shelf: PhotoShelf | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> int:
    """Render one place into folder/visit0, folder/visit1, ...

    Views of a bare wall are left out. The same arguments and photographs give the same pixels. The
    folder is written completely or not at all.

    Args:
        kind: town or rooms.
        seed: of the place and its visits.
        folder: where the visits are written.
        visits: how many there are.
        size: width, height [px].
        spacing_m: between two images.
        shelf: photographs for the walls; None = painted walls.
        overwrite: whether an existing folder is replaced.
        progress: called with the number of images done and the total.

    Returns:
        The number of images.

    Raises:
        NetvladError: the folder exists already and overwrite is not set, it cannot be written, or a
            photograph is unreadable.
    """
    with atomic_directory(folder, overwrite=overwrite) as temporary:
        place = KINDS[kind](seed, shelf)
        planned = plan_visits(seed, visits)
        trajectories = [place.poses(visit, spacing_m) for visit in planned]
        total, before, written = sum(map(len, trajectories)), 0, 0
        for visit, poses in zip(planned, trajectories, strict=True):
            focal = visit.zoom * size[0] / 2 / math.tan(math.radians(place.view_deg) / 2)
            camera = Camera(*size, focal_px=focal)
            images = _images(place, visit, poses, camera)
            frames = _counted(images, before, total, progress)
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


def _images(
    place: Place, visit: Visit, poses: list[NDArray[np.float64]], camera: Camera
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.uint8]]]:
    light, rng = visit.daylight, visit.rng(4)
    renderer = Renderer(place.quads(visit), light.sky(), camera, _SUPERSAMPLING)
    for T_map_cam in poses:
        image = renderer.render(T_map_cam)
        if _structured(image):
            yield T_map_cam, light.develop(image, rng)


def _structured(image: NDArray[np.uint8]) -> bool:
    """Whether a view shows more than a bare wall, which cannot be recognised."""
    small = cv2.resize(image, (116, 88), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope = np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1))
    return bool((slope > _EDGE * max(float(grey.mean()), 1.0)).mean() > _STRUCTURED)


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
