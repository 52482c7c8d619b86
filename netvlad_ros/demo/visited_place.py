"""Rendering a place into folder drives, one for each visit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.files import atomic_directory
from netvlad_ros.demo.camera import Camera
from netvlad_ros.demo.photo_shelf import PhotoShelf
from netvlad_ros.demo.quad import Quad
from netvlad_ros.demo.renderer import Renderer
from netvlad_ros.demo.visit import Visit, plan_visits
from netvlad_ros.demo.visit_folder import write_visit
from netvlad_ros.demo.visited_rooms import VisitedRooms
from netvlad_ros.demo.visited_town import VisitedTown
from netvlad_ros.offline.progress import Progress, no_progress

_SUPERSAMPLING = 1.5  # a third faster than the demo's 2, and as smooth after the sensor's noise


class Place(Protocol):
    """A world to come back to. view_deg: how wide the camera sees."""

    view_deg: float

    def quads(self, visit: Visit) -> list[Quad]:
        """What is seen on a visit, lit."""
        ...

    def poses(self, visit: Visit, spacing_m: float) -> list[NDArray[np.float64]]:
        """Camera poses T_map_cam, (4, 4), of a visit."""
        ...


_EDGE = 0.35  # slope of a pixel's edge, of the mean brightness
_STRUCTURED = 0.15  # share of such pixels in a view that one could recognize
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
    """Render one place into folder/visit0, folder/visit1, ...; returns the number of images.

    kind: town or rooms; size: width, height [px]. Views of a bare wall are left out. The same
    arguments and photographs give the same pixels. The folder appears whole or not at all. Raises
    NetvladError if it exists already (unless overwrite), cannot be written, or a photograph is
    unreadable.
    """
    with atomic_directory(folder, overwrite=overwrite) as temporary:
        place = KINDS[kind](seed, shelf)
        planned = plan_visits(seed, visits)
        ways = [place.poses(visit, spacing_m) for visit in planned]
        total, before, written = sum(map(len, ways)), 0, 0
        for visit, way in zip(planned, ways, strict=True):
            focal = visit.zoom * size[0] / 2 / math.tan(math.radians(place.view_deg) / 2)
            camera = Camera(*size, focal_px=focal)
            images = _images(place, visit, way, camera)
            frames = _counted(images, before, total, progress)
            written += write_visit(
                temporary / f'visit{visit.number}', camera, visit.start_ns, frames
            )
            before += len(way)
        progress(total, total)
    return written


def _images(
    place: Place, visit: Visit, way: list[NDArray[np.float64]], camera: Camera
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.uint8]]]:
    light, rng = visit.daylight, visit.rng(4)
    renderer = Renderer(place.quads(visit), light.sky(), camera, _SUPERSAMPLING)
    for T_map_cam in way:
        image = renderer.render(T_map_cam)
        if _structured(image):
            yield T_map_cam, light.develop(image, rng)


def _structured(image: NDArray[np.uint8]) -> bool:
    """Whether there is more to see than a bare wall, which nobody could recognize."""
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
