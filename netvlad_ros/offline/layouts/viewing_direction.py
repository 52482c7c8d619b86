"""Where a camera looks on the ground, from its pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLEAR = 0.7  # mean of the cameras' up axes along a map axis that settles which way is up
STEEP = 0.2  # sine of the angle to the vertical below which a direction has no heading


def ground_axes(T_map_cam: NDArray[np.float64]) -> NDArray[np.int64]:
    """Axes of the map in the order (ground, ground, up), (3,) int64, for poses (N, 4, 4).

    z is up, as REP-103 wants it, unless the cameras say clearly that another axis is: visual
    odometry often keeps the first camera's frame, whose y axis points down. The order is cyclic,
    so headings keep their sense up to the direction of the vertical.
    """
    up = -T_map_cam[:, :3, 1].mean(axis=0)  # optical frames: y down
    axis = int(np.abs(up).argmax())
    vertical = axis if abs(up[axis]) > CLEAR else 2
    return np.array([(vertical + 1) % 3, (vertical + 2) % 3, vertical])


def headings_deg(T_map_cam: NDArray[np.float64], axes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Direction of view on the ground (N,) [deg], from the first of the axes to the second.

    It is the optical axis (z) projected on the ground; for a camera that looks almost straight up
    or down, the direction in which the top of its image points; NaN where both are vertical.
    """
    forward = T_map_cam[:, :3, 2][:, axes]
    top = -T_map_cam[:, :3, 1][:, axes]
    flat = np.linalg.norm(forward[:, :2], axis=1) > STEEP
    chosen = np.where(flat[:, None], forward, top)
    headings = np.degrees(np.arctan2(chosen[:, 1], chosen[:, 0]))
    return np.where(np.linalg.norm(chosen[:, :2], axis=1) > STEEP, headings, np.nan)
