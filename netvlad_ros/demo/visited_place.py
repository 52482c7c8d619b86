"""Rendering a place into folder drives, one for each visit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.atomic_directory import atomic_directory
from netvlad_ros.demo.camera import Camera
from netvlad_ros.demo.photo_shelf import PhotoShelf
from netvlad_ros.demo.quad import Quad
from netvlad_ros.demo.renderer import Renderer
from netvlad_ros.demo.visit import Visit, plan_visits
from netvlad_ros.demo.visit_folder import write_visit
from netvlad_ros.demo.visited_rooms import VisitedRooms
from netvlad_ros.demo.visited_town import VisitedTown
from netvlad_ros.offline.map_builder import Progress

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


_BARE = 0.12  # deviation of the pixels, of their mean, where there is nothing to see
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
    progress: Progress = lambda done, total: None,
) -> int:
    """Render one place into folder/visit0, folder/visit1, ...; returns the number of images.

    kind: town or rooms; the same kind, seed, size, spacing and photographs give the same pixels.
    size: width, height [px]. The folder appears whole or not at all. Raises NetvladError if it
    exists already (unless overwrite), cannot be written, or a photograph is unreadable.
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
        if image.std() > _BARE * image.mean():  # nobody recognizes a bare wall
            yield T_map_cam, light.develop(image, rng)


def _counted(
    frames: Iterator[tuple[NDArray[np.float64], NDArray[np.uint8]]],
    before: int,
    total: int,
    progress: Progress,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.uint8]]]:
    for done, frame in enumerate(frames, start=before + 1):
        yield frame
        progress(done, total)
