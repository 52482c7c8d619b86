"""Where mass over a map's places goes while the camera moves, or may have moved."""

from __future__ import annotations

import numpy as np

from netvlad_ros.core.belief.pose_cells import PoseCells
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, distance_m, rotation_angle_deg

MIN_SCALE_M = 0.1  # [m] images nearer than this show the same
MIN_SCALE_DEG = 10.0  # [deg]
PLACE_SCALES = 2.5  # images up to two spacings apart show one place, as for the localizer
KIDNAPPED_PER_S = 0.01  # [1/s] being carried anywhere
LEAVING_PER_S = 0.05  # [1/s] from the map to where nothing is mapped
ENTERING_PER_S = 0.1  # [1/s] and back, anywhere
SHORTEST_S, LONGEST_S = 2.0**-6, 2.0**12  # [s] steps of time for which reach is worked out
COMMON_S = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # those of cameras
ODOMETRY_NOISE = 0.1  # of distance and of turn
LATTICE_NOISE = 0.6  # scales: less than half a spacing would miss the places between
MOVED_EXACTLY = 256  # places, those with most mass
NOTICEABLE = 1e-6  # mass


class MotionModel:
    """Prediction over N places (T_map_cam (N, 4, 4)) and "elsewhere".

    max_speed_mps [m/s], max_turn_dps [deg/s]: what the camera never exceeds. spacing_m,
    spacing_deg: steps between the map's places.

    lost: (N,) and lost_elsewhere: what is believed of a robot about which nothing is known. Every
    place is as probable as elsewhere; a place are the images within two spacings, so that it does
    not become more probable by having been photographed more often.
    """

    def __init__(
        self,
        T_map_cam: Array,
        *,
        max_speed_mps: float,
        max_turn_dps: float,
        spacing_m: float,
        spacing_deg: float,
    ) -> None:
        bounds = (max_speed_mps, max_turn_dps, spacing_m, spacing_deg)
        if T_map_cam.ndim != 3 or not len(T_map_cam) or not np.isfinite(T_map_cam).all():
            raise NetvladError('the belief needs the finite poses of at least one place')
        if not all(np.isfinite(bound) and bound >= 0 for bound in bounds):
            raise NetvladError(
                f'speed, turn and spacings must be finite and not negative, they are {bounds}'
            )
        self._T_map_cam = T_map_cam
        self._speed_mps, self._turn_dps = max_speed_mps, max_turn_dps
        self._scale_m = max(spacing_m, MIN_SCALE_M)
        self._scale_deg = max(spacing_deg, MIN_SCALE_DEG)
        self._cells = PoseCells(T_map_cam, self._scale_m, self._scale_deg)
        crowd = PoseCells(
            T_map_cam, PLACE_SCALES * self._scale_m, PLACE_SCALES * self._scale_deg
        ).crowd()
        places = float((1.0 / crowd).sum())
        self.ground = 1.0 / crowd / places
        self.lost_elsewhere = 1.0 / (1.0 + places)
        self.lost = (1.0 - self.lost_elsewhere) * self.ground
        rate = max(max_speed_mps / self._scale_m, max_turn_dps / self._scale_deg)
        self.step_s = 1.0 / rate if rate > 0 else np.inf  # [s] from place to place, at least
        self._within_reach: dict[float, PoseCells] = {}
        for step_s in COMMON_S:  # now rather than in the midst of a drive
            self._cells_within(step_s).prepare()

    def steps(self, T_before_now: Array) -> float:
        """How far a motion (4, 4) leads, in steps between the map's places."""
        moved = distance_m(T_before_now, np.eye(4)) / self._scale_m
        turned = rotation_angle_deg(T_before_now, np.eye(4)) / self._scale_deg
        return float(np.hypot(moved, turned))

    def move(self, mass: Array, dt_s: float, T_before_now: Array | None) -> tuple[Array, float]:
        """Mass (N,) of the places after dt_s [s], and how much left the map.

        T_before_now (4, 4): motion of the camera meanwhile, in its frame; None: any motion within
        the bounds, which leads off the map no faster than `leak` says.
        """
        if T_before_now is None:
            return self._reached(mass, dt_s), 0.0
        return self._moved(mass, dt_s, T_before_now)

    def leak(self, mass: Array, elsewhere: float, dt_s: float) -> tuple[Array, float]:
        """Leaving the map, coming back and being carried off within dt_s [s]; mass is kept."""
        # A chain of two states, on the map and elsewhere, solved exactly for any dt_s.
        rate = LEAVING_PER_S + ENTERING_PER_S
        mixed = -np.expm1(-rate * dt_s) / rate
        leaving, entering = LEAVING_PER_S * mixed, ENTERING_PER_S * mixed
        leaves, enters = leaving * float(mass.sum()), entering * elsewhere
        mass = (1.0 - leaving) * mass + enters * self.ground
        elsewhere += leaves - enters
        # Carried off: then nothing is known.
        kept = np.exp(-KIDNAPPED_PER_S * dt_s)
        kidnapped = (1.0 - kept) * float(mass.sum())
        return kept * mass + kidnapped * self.lost, elsewhere + kidnapped * self.lost_elsewhere

    def _reached(self, mass: Array, dt_s: float) -> Array:
        """Spread evenly over the places that the camera can have reached."""
        if dt_s <= 0.0:
            return mass
        # Reach is worked out for doubling times. A step shorter than the map's takes many frames,
        # of which each carries a share of the mass.
        step_s = float(np.clip(2.0 ** np.ceil(np.log2(dt_s)), SHORTEST_S, LONGEST_S))
        moving = min(1.0, dt_s / self.step_s)
        return (1.0 - moving) * mass + moving * self._cells_within(step_s).spread(mass)

    def _cells_within(self, step_s: float) -> PoseCells:
        if step_s not in self._within_reach:
            self._within_reach[step_s] = PoseCells(
                self._T_map_cam,
                self._scale_m + self._speed_mps * step_s,
                self._scale_deg + self._turn_dps * step_s,
                self.ground,
            )
        return self._within_reach[step_s]

    def _moved(self, mass: Array, dt_s: float, T_before_now: Array) -> tuple[Array, float]:
        """Each place's mass goes to the places around its pose moved on; what finds none, leaves.

        Exactly for the places with most mass; the rest, too little to matter one by one, may go
        wherever the bounds allow.
        """
        count = min(MOVED_EXACTLY, len(mass))
        chosen = np.argpartition(-mass, count - 1)[:count]
        chosen = chosen[mass[chosen] > NOTICEABLE]
        rest = mass.copy()
        rest[chosen] = 0.0
        rest = self._reached(rest, dt_s)
        if not len(chosen):
            return rest, 0.0
        noise = LATTICE_NOISE + ODOMETRY_NOISE * self.steps(T_before_now)
        targets = self._cells.embed(self._T_map_cam[chosen] @ T_before_now)
        away, cell = self._cells.nearest(targets, 1.0 + 4.0 * noise)
        found = np.isfinite(away)
        share = np.exp(-0.5 * (away / noise) ** 2)  # exp(-inf) = 0
        on_map = np.exp(-0.5 * (np.maximum(away[:, 0] - 1.0, 0.0) / noise) ** 2)
        share *= (mass[chosen] * on_map / np.maximum(share.sum(axis=1), 1e-300))[:, np.newaxis]
        arrived = np.zeros(len(self._cells.counts))
        np.add.at(arrived, cell[found], share[found])
        moved = self._cells.scatter(arrived)
        return moved + rest, max(float(mass.sum() - rest.sum() - moved.sum()), 0.0)
