"""KeyframeSelector: which frames of a drive become places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import distance_m, rotation_angle_deg


class KeyframeSelector:
    """Takes a frame when the camera has moved or turned far enough since the last one taken.

    A spacing of 0 does not count; with both at 0 every frame is taken.
    """

    def __init__(self, spacing_m: float, spacing_deg: float) -> None:
        for name, value in (('spacing', spacing_m), ('spacing angle', spacing_deg)):
            if not 0 <= value < float('inf'):
                raise NetvladError(f'the {name} is {value}, it must be 0 or more')
        self._spacing_m = spacing_m
        self._spacing_deg = spacing_deg
        self._last: NDArray[np.float64] | None = None

    def is_keyframe(self, T_map_cam: NDArray[np.float64]) -> bool:
        """Say whether the camera pose (4, 4) is far enough from the last keyframe."""
        if self._last is None or not (self._spacing_m or self._spacing_deg):
            return True
        moved = self._spacing_m > 0 and distance_m(self._last, T_map_cam) >= self._spacing_m
        turned = (
            self._spacing_deg > 0 and rotation_angle_deg(self._last, T_map_cam) >= self._spacing_deg
        )
        return bool(moved or turned)

    def take(self, T_map_cam: NDArray[np.float64]) -> None:
        """Make this pose the last keyframe. Call it when the image has been read."""
        self._last = T_map_cam
