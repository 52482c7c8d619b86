"""BuiltPlace: base of the places that are built of quads."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.world.rendering.camera import Camera
from netvlad_ros.world.rendering.quad import Quad
from netvlad_ros.world.rendering.renderer import Renderer
from netvlad_ros.world.rendering.view_structure import is_structured
from netvlad_ros.world.visit import Visit

_SUPERSAMPLING = 1.5  # a third faster than 2 of the demo; as smooth after the sensor's noise


class BuiltPlace(ABC):
    """A place whose surfaces are quads.

    Attributes:
        view_deg: horizontal field of view of the camera.
    """

    view_deg: float

    @abstractmethod
    def quads(self, visit: Visit) -> list[Quad]:
        """The surfaces of a visit, with its light."""

    def camera(self, visit: Visit, size: tuple[int, int]) -> Camera:
        """The camera of a visit, for images of size (width, height) [px]."""
        focal = visit.zoom * size[0] / 2 / math.tan(math.radians(self.view_deg) / 2)
        return Camera(*size, focal_px=focal)

    def images(
        self, visit: Visit, poses: list[NDArray[np.float64]], camera: Camera
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.uint8]]]:
        """The images at poses T_map_cam (4, 4), each with its pose; without bare walls."""
        light, rng = visit.daylight, visit.rng(4)
        renderer = Renderer(self.quads(visit), light.sky(), camera, _SUPERSAMPLING)
        for T_map_cam in poses:
            image = renderer.render(T_map_cam)
            if is_structured(image):
                yield T_map_cam, light.develop(image, rng)
