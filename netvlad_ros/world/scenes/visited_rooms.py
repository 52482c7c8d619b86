"""VisitedRooms: a floor of a building at several visits, with other light and moved objects."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from netvlad_ros.offline.mapping.keyframes import KeyframeSelector
from netvlad_ros.world.rendering.camera import R_BODY_OPTICAL
from netvlad_ros.world.rendering.photo_shelf import MaterialShelf, Shelf
from netvlad_ros.world.rendering.quad import Point, Quad
from netvlad_ros.world.scenes.built_place import BuiltPlace
from netvlad_ros.world.scenes.rooms import CEILING_M, Zone, build_floor, clutter
from netvlad_ros.world.visit import Visit

_STEP_M, _STEP_DEG = 0.05, 3.0
_SPACING_DEG = 24.0  # turning on the spot gives images too


class VisitedRooms(BuiltPlace):
    """The floor of a seed, the path through it, and the height of the camera."""

    def __init__(self, seed: int, shelf: Shelf | None) -> None:
        rng = np.random.default_rng((seed, 9300))
        self._zones = build_floor(seed, shelf or MaterialShelf())
        self._height_m = float(rng.uniform(0.6, 1.6))  # of a small robot or a handheld camera
        self.view_deg = float(rng.uniform(62.0, 84.0))  # across the image
        self._path = _path(rng, self._zones)

    def quads(self, visit: Visit) -> list[Quad]:
        """The surfaces of a visit, lit by the windows and by the lamps that are on."""
        rng, dark = visit.rng(1), visit.light == 'dusk'
        day = visit.daylight
        inside = [
            0.82 + 0.18 * level for level in day.ambient
        ]  # indoors, light varies less than outdoors
        light = replace(day, ambient=(inside[0], inside[1], inside[2]))
        quads, boxes = [], []
        for zone in self._zones:
            on = bool(rng.uniform() < (0.95 if dark else 0.6))
            warm = float(rng.uniform(0.0, 0.28))
            warmth = np.array([1.0, 1.0 - 0.45 * warm, 1.0 - warm])
            placed = clutter(rng, zone, self._path[0])
            things = zone.quads + [quad for added, _ in placed for quad in added]
            quads += [_lamplit(quad, zone, warmth, on=on, dark=dark) for quad in things]
            boxes += zone.boxes + [box for _, added in placed for box in added]
        return light.lit(quads, boxes)

    def poses(self, visit: Visit, spacing_m: float) -> list[NDArray[np.float64]]:
        """Camera poses T_map_cam (4, 4), spacing_m apart or turned on the spot."""
        rng = visit.rng(2)
        xy, heading = self._path
        at = np.arange(len(heading)) * _STEP_M

        def unsteady(amplitude: float, wavelength_m: float) -> NDArray[np.float64]:
            phases = rng.uniform(0, 2 * np.pi, 2)
            waves = np.sin(2 * np.pi * at / wavelength_m + phases[0])
            waves += 0.6 * np.sin(2 * np.pi * at / (0.37 * wavelength_m) + phases[1])
            return np.asarray(amplitude * waves, np.float64)

        lateral = 0.35 * visit.lateral_m + unsteady(0.04, 3.0)
        yaw = np.degrees(heading) + visit.yaw_deg + unsteady(2.0, 2.5)
        pitch, roll = visit.pitch_deg + unsteady(1.5, 1.7), unsteady(1.2, 2.1)
        height = self._height_m + visit.lift_m + unsteady(0.015, 0.8)
        left = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
        position = np.column_stack([xy + lateral[:, None] * left, height])
        turn = Rotation.from_euler('ZYX', np.column_stack([yaw, pitch, roll]), degrees=True)
        T_map_cam = np.tile(np.eye(4), (len(at), 1, 1))
        T_map_cam[:, :3, :3] = turn.as_matrix() @ R_BODY_OPTICAL
        T_map_cam[:, :3, 3] = position
        selector, poses = KeyframeSelector(spacing_m, _SPACING_DEG), []
        for T in T_map_cam[int(rng.integers(8)) :]:
            if selector.is_keyframe(T):
                selector.take(T)
                poses.append(T)
        return poses


def _path(
    rng: np.random.Generator, zones: list[Zone]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Path in the corridor and back, turning in some rooms: (N, 2) [m], heading (N,) [rad]."""
    corridor, rooms = zones[0], sorted(zones[1:], key=lambda zone: zone.door or (0.0, 0.0))
    points: list[Point] = [(0.9, 0.0)]
    rounds: list[int] = []
    for room in rooms:
        assert room.door is not None
        if rng.uniform() < 0.65:
            x, y = room.door[0], 0.45 * room.door[1] + 0.55 * room.centre[1]
            points += [(x, 0.0), (x, y)]
            rounds.append(len(points) - 1)
            points.append((x, 0.0))
    points += [(corridor.high[0] - 0.9, 0.0), (0.9, 0.0)]
    xy: list[NDArray[np.float64]] = [np.array(points[0])]
    heading = [0.0]
    for number, point in enumerate(points[1:], start=1):
        leg = np.subtract(point, xy[-1])
        length = float(np.linalg.norm(leg))
        if length < 0.05:
            continue
        towards = heading[-1] + _wrapped(float(np.arctan2(leg[1], leg[0])) - heading[-1])
        _turn(xy, heading, towards)
        start = xy[-1]
        for share in np.linspace(0, 1, max(2, int(length / _STEP_M)))[1:]:
            xy.append(start + share * leg)
            heading.append(towards)
        if number in rounds:
            _turn(xy, heading, heading[-1] + 2 * np.pi)
    return np.array(xy), np.array(heading)


def _turn(xy: list[NDArray[np.float64]], heading: list[float], towards: float) -> None:
    count = max(1, int(abs(np.degrees(towards - heading[-1])) / _STEP_DEG))
    for angle in np.linspace(heading[-1], towards, count + 1)[1:]:
        xy.append(xy[-1])
        heading.append(float(angle))


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _lamplit(quad: Quad, zone: Zone, warmth: NDArray[np.float64], *, on: bool, dark: bool) -> Quad:
    """The quad lit by the lamps of its zone, in a row along the middle of the ceiling."""
    (x0, y0), (x1, y1) = zone.low, zone.high
    height, width = quad.texture.shape[:2]
    rows = int(np.clip(np.linalg.norm(quad.v) / 0.3, 1, height))
    cols = int(np.clip(np.linalg.norm(quad.u) / 0.3, 1, width))
    t, s = (np.arange(rows) + 0.5) / rows, (np.arange(cols) + 0.5) / cols
    points = quad.origin + s[None, :, None] * quad.u + t[:, None, None] * quad.v
    if on:
        lamps = np.arange(x0 + 1.2, x1, 2.5)
        nearest = lamps[np.abs(points[..., :1] - lamps).argmin(-1)] if len(lamps) else (x0 + x1) / 2
        towards = np.stack([
            nearest - points[..., 0],
            (y0 + y1) / 2 - points[..., 1],
            CEILING_M - points[..., 2],
        ], axis=-1)  # fmt: skip
        distance = np.linalg.norm(towards, axis=-1)
        gain = 0.72 + 0.85 / (1.0 + 0.35 * distance**2)
    else:
        gain = np.full((rows, cols), 0.5 if dark else 0.95)
    colour = warmth if on else np.ones(3)
    field = (gain[..., None] * colour).astype(np.float32)
    fine = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    texture = quad.texture.copy()
    texture[..., :3] = np.clip(texture[..., :3] * fine.reshape(height, width, 3), 0, 255)
    return replace(quad, texture=texture)
