"""Route, DriveStyle and Trajectory: the pose of a vehicle over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.world.rendering.quad import Point

_STEP_M = 0.02
_CORNER_RADIUS_M = 3.0


class Route:
    """Straights joined by arcs of 3 m radius, sampled every 2 cm.

    Attributes:
        length_m: of the route.
        distance_m: (N,) from the start, along the route.
        xy: (N, 2) positions [m], map frame.
        heading: (N,) [rad], unwrapped.
        turning: (N,) bool, in an arc.
    """

    def __init__(self, corners: list[Point]) -> None:
        points = [np.array(c, np.float64) for c in corners]
        line = [points[0]]
        for before, corner, after in zip(points[:-2], points[1:-1], points[2:], strict=True):
            one = (before - corner) / np.linalg.norm(before - corner)
            two = (after - corner) / np.linalg.norm(after - corner)
            centre = corner + _CORNER_RADIUS_M * (one + two)
            for angle in np.linspace(0, np.pi / 2, 60):  # streets cross at right angles
                line.append(centre - _CORNER_RADIUS_M * (np.cos(angle) * two + np.sin(angle) * one))
        line.append(points[-1])
        vertices = np.array(line)
        along = np.concatenate([[0.0], np.linalg.norm(np.diff(vertices, axis=0), axis=1).cumsum()])
        self.length_m = float(along[-1])
        self.distance_m = np.arange(0.0, self.length_m, _STEP_M)
        self.xy = np.stack(
            [np.interp(self.distance_m, along, vertices[:, k]) for k in (0, 1)], axis=1
        )
        step = np.gradient(self.xy, _STEP_M, axis=0)
        self.heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
        self.turning = np.abs(np.gradient(self.heading, _STEP_M)) > 0.05


@dataclass(frozen=True)
class DriveStyle:
    """How a route is driven.

    Attributes:
        speed_mps: on straights.
        camera_hz: image rate.
        lateral_m: mean offset to the left of the route.
        sway_m: slow deviation from this offset.
        start_ns: stamp of the start.
        seed: of all deviations.
    """

    speed_mps: float
    camera_hz: float
    lateral_m: float
    sway_m: float
    start_ns: int
    seed: int


class Trajectory:
    """Poses of vehicle and odometry over time.

    Attributes:
        start_ns: stamp of the start.
        duration_s: of the drive.
        stamps_ns: (N,) int64, of the images.
    """

    def __init__(self, route: Route, style: DriveStyle) -> None:
        rng = np.random.default_rng(style.seed)
        speed = np.where(route.turning, 0.62, 1.0) * style.speed_mps
        kernel = np.ones(101) / 101  # the speed changes over two metres
        speed = np.convolve(np.pad(speed, 50, mode='edge'), kernel, mode='valid')
        self._time_s = np.concatenate([[0.0], np.cumsum(_STEP_M / speed)[:-1]])
        self.duration_s = float(self._time_s[-1])
        distance_m = route.distance_m
        lateral = style.lateral_m + style.sway_m * _sway(rng, distance_m, 14.0)
        left = np.stack([-np.sin(route.heading), np.cos(route.heading)], axis=1)
        xy = route.xy + lateral[:, None] * left
        yaw = (
            route.heading
            + np.arctan(np.gradient(lateral, _STEP_M))
            + np.radians(1.5) * _sway(rng, distance_m, 6.0)
        )
        pitch, roll = (np.radians(0.5) * _sway(rng, distance_m, 2.5) for _ in range(2))
        self._position = np.column_stack([xy, 0.008 * _sway(rng, distance_m, 2.0)])
        self._angles = np.column_stack([yaw, pitch, roll])
        self._drift = rng.normal(size=3) * (0.25, 0.25, np.radians(1.0))
        # The margin puts the stamp of every image between two transforms.
        count = int((self.duration_s - 0.4) * style.camera_hz)
        self.stamps_ns = style.start_ns + np.round(
            (0.2 + np.arange(count) / style.camera_hz) * 1e9
        ).astype(np.int64)
        self.start_ns = style.start_ns

    def T_map_base(self, t: float) -> NDArray[np.float64]:
        """Pose of base_link in the map at t [s], (4, 4)."""
        position, angles = (
            np.array([np.interp(t, self._time_s, column) for column in table.T])
            for table in (self._position, self._angles)
        )
        T = np.eye(4)
        T[:3, :3] = Rotation.from_euler('ZYX', angles).as_matrix()
        T[:3, 3] = position
        return T

    def T_map_odom(self, t: float) -> NDArray[np.float64]:
        """Pose of the odometry frame at t [s], (4, 4); it drifts from the start of the drive on."""
        x, y, yaw = self._drift * (t / self.duration_s)
        drift = np.eye(4)
        drift[:3, :3] = Rotation.from_euler('z', yaw).as_matrix()
        drift[:3, 3] = (x, y, 0.0)
        return self.T_map_base(0.0) @ drift

    def at(self, stamp_ns: int) -> float:
        """Seconds since the start of the drive."""
        return (int(stamp_ns) - self.start_ns) * 1e-9


def _sway(
    rng: np.random.Generator, distance_m: NDArray[np.float64], wavelength_m: float
) -> NDArray[np.float64]:
    """Smooth random deviation along the route, with amplitude about 1."""
    total = np.zeros_like(distance_m)
    for stretch in (1.0, 0.57, 0.31):
        total += (
            np.sin(2 * np.pi * distance_m / (wavelength_m * stretch) + rng.uniform(0, 2 * np.pi))
            * stretch
        )
    return total / 1.2


LOOP = Route([(0, 19), (0, 0), (36, 0), (36, 24), (0, 24), (0, 20)])
DETOUR = Route([
    (0, 18), (0, 0), (10, 0), (10, -18), (26, -18), (26, 0), (36, 0), (36, 24), (0, 24), (0, 20.5),
])  # fmt: skip
FIRST_DRIVE = DriveStyle(
    2.7, 7.0, lateral_m=0.0, sway_m=0.05, start_ns=1_760_000_000_000_000_000, seed=11
)
SECOND_DRIVE = DriveStyle(
    5.6, 10.0, lateral_m=-0.2, sway_m=0.12, start_ns=1_760_604_800_000_000_000, seed=12
)
