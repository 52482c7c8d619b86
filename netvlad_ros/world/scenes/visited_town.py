"""VisitedTown: the demo's town at several visits, on other days and in other light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.offline.mapping.keyframes import KeyframeSelector
from netvlad_ros.world.rendering.camera import R_BODY_OPTICAL
from netvlad_ros.world.rendering.photo_shelf import PhotoShelf, hang
from netvlad_ros.world.rendering.quad import Quad
from netvlad_ros.world.scenes.built_place import BuiltPlace
from netvlad_ros.world.scenes.season import dress
from netvlad_ros.world.scenes.town import Town
from netvlad_ros.world.trajectory import DriveStyle, Route, Trajectory
from netvlad_ros.world.visit import Visit

_ROUTE = [
    (0.0, 18.0), (0.0, 0.0), (10.0, 0.0), (10.0, -18.0), (26.0, -18.0), (26.0, 0.0), (36.0, 0.0),
    (36.0, 24.0), (0.0, 24.0), (0.0, 20.5),
]  # fmt: skip


class VisitedTown(BuiltPlace):
    """The town of a seed, the route through it, and the mounting of the camera."""

    def __init__(self, seed: int, shelf: PhotoShelf | None) -> None:
        rng = np.random.default_rng((seed, 9100))
        self._route = Route(_ROUTE if rng.uniform() < 0.5 else _ROUTE[::-1])
        self._yaw_deg = float(rng.choice([0.0, 0.0, -34.0, 34.0]))
        self._height_m = float(rng.uniform(1.2, 1.7))
        self.view_deg = float(rng.uniform(62.0, 82.0))  # across the image
        self.town = Town.standing(seed)
        if shelf is not None:
            papered = [_papered(rng, quad, shelf) for quad in self.town.quads]
            self.town = replace(self.town, quads=papered)

    def quads(self, visit: Visit) -> list[Quad]:
        """The surfaces of a visit, with its light."""
        light = visit.daylight
        town = self.town.on_day(visit.rng(1))
        quads = dress(town.quads, visit.season, wet=visit.wet, sky=light.zenith, seed=light.seed)
        return light.lit(quads, town.boxes)

    def poses(self, visit: Visit, spacing_m: float) -> list[NDArray[np.float64]]:
        """Camera poses T_map_cam (4, 4) along the route, spacing_m apart."""
        style = DriveStyle(
            speed_mps=5.0,
            camera_hz=5.0 / (spacing_m / 12),
            lateral_m=visit.lateral_m,
            sway_m=0.12,
            start_ns=visit.start_ns,
            seed=int(visit.rng(2).integers(2**31)),
        )
        trajectory = Trajectory(self._route, style)
        mounting = np.eye(4)
        angles = [self._yaw_deg + visit.yaw_deg, 2.0 + visit.pitch_deg]
        mounting[:3, :3] = Rotation.from_euler('zy', angles, degrees=True).as_matrix()
        mounting[:3, :3] @= R_BODY_OPTICAL
        mounting[:3, 3] = (0.7, 0.0, self._height_m + visit.lift_m)
        selector, poses = KeyframeSelector(spacing_m, 0.0), []
        for stamp_ns in trajectory.stamps_ns[int(visit.rng(3).integers(12)) :]:
            T_map_cam = trajectory.T_map_base(trajectory.at(stamp_ns)) @ mounting
            if selector.is_keyframe(T_map_cam):
                selector.take(T_map_cam)
                poses.append(T_map_cam)
        return poses


def _papered(rng: np.random.Generator, quad: Quad, shelf: PhotoShelf) -> Quad:
    """A front covered by a photograph, or with a few framed ones; other quads stay as they are."""
    wide, high = np.linalg.norm(quad.u), np.linalg.norm(quad.v)
    upright = abs(quad.normal[2]) < 0.1 and not quad.two_sided and quad.texture.shape[2] == 3
    if not upright or wide < 2.2 or high < 2.4:
        return quad
    kind, texture = rng.uniform(), quad.texture.copy()
    height, width = texture.shape[:2]
    if kind < 0.4:
        texture = shelf.crop(rng, height, width)
    elif kind < 0.8:
        for _ in range(int(rng.integers(1, 4))):
            hang(rng, texture, shelf, float(width / wide))
    return replace(quad, texture=texture)
