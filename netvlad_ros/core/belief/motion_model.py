"""MotionModel: where probability goes while the camera moves."""

from __future__ import annotations

import numpy as np

from netvlad_ros.core.belief.pose_cells import PoseCells
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, distance_m, rotation_angle_deg

MIN_SCALE_M = 0.1  # [m] images nearer than this show the same place
MIN_SCALE_DEG = 10.0  # [deg]
PLACE_SCALES = 2.5  # images up to two spacings apart show one place, as for the localizer
KIDNAPPED_PER_S = 0.01  # [1/s] being kidnapped to anywhere
LEAVING_PER_S = 0.05  # [1/s] from the map to where nothing is mapped
ENTERING_PER_S = 0.1  # [1/s] and back, anywhere
SHORTEST_S, LONGEST_S = 2.0**-6, 2.0**12  # [s] times for which the reach is computed
COMMON_S = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # [s] usual times between images
ODOMETRY_NOISE = 0.1  # of distance and of turn
LATTICE_NOISE = 0.6  # scales: less than half a spacing would miss the places between
MOVED_EXACTLY = 256  # places, those with most mass
NOTICEABLE = 1e-6  # mass


class MotionModel:
    """Prediction over N places and "elsewhere".

    Every place is as probable a priori as "elsewhere". All images within two spacings count as one
    place; otherwise a place would be more probable because it was photographed more often.

    Args:
        T_map_cam: float64 (N, 4, 4), camera poses of the places.
        max_speed_mps: what the camera never exceeds [m/s].
        max_turn_dps: what the camera never exceeds [deg/s].
        spacing_m: step between the map's places [m].
        spacing_deg: step between the map's places [deg].

    Attributes:
        place_density: float64 (N,), share of each map image in the mass of all places; sum 1.
        prior: float64 (N,), probability of each map image if nothing is known.
        prior_elsewhere: probability of "elsewhere" if nothing is known.
        step_s: least time from place to place within the bounds [s].

    Raises:
        NetvladError: poses that are not finite, or impossible bounds.
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
        self.place_density = 1.0 / crowd / places
        self.prior_elsewhere = 1.0 / (1.0 + places)
        self.prior = (1.0 - self.prior_elsewhere) * self.place_density
        rate = max(max_speed_mps / self._scale_m, max_turn_dps / self._scale_deg)
        self.step_s = 1.0 / rate if rate > 0 else np.inf
        self._within_reach: dict[float, PoseCells] = {}
        for step_s in COMMON_S:  # now, not during a drive
            self._cells_within(step_s).prepare()

    def steps(self, T_before_now: Array) -> float:
        """Length of a motion (4, 4) in steps between the map's places."""
        moved = distance_m(T_before_now, np.eye(4)) / self._scale_m
        turned = rotation_angle_deg(T_before_now, np.eye(4)) / self._scale_deg
        return float(np.hypot(moved, turned))

    def move(self, mass: Array, dt_s: float, T_before_now: Array | None) -> tuple[Array, float]:
        """Move the mass of the places.

        Args:
            mass: float64 (N,).
            dt_s: time that passed [s].
            T_before_now: (4, 4), motion of the camera in its frame; None: any motion within the
                bounds, which leaves the map no faster than `leak` says.

        Returns:
            The mass (N,) afterwards, and how much of it left the map.
        """
        if T_before_now is None:
            return self._reached(mass, dt_s), 0.0
        return self._moved(mass, dt_s, T_before_now)

    def leak(self, mass: Array, elsewhere: float, dt_s: float) -> tuple[Array, float]:
        """Leaving the map, coming back and being kidnapped within dt_s [s]; the sum is kept."""
        # A chain of two states, on the map and elsewhere, solved exactly for any dt_s.
        rate = LEAVING_PER_S + ENTERING_PER_S
        mixed = -np.expm1(-rate * dt_s) / rate
        leaving, entering = LEAVING_PER_S * mixed, ENTERING_PER_S * mixed
        leaves, enters = leaving * float(mass.sum()), entering * elsewhere
        mass = (1.0 - leaving) * mass + enters * self.place_density
        elsewhere += leaves - enters
        # Kidnapped: then nothing is known.
        kept = np.exp(-KIDNAPPED_PER_S * dt_s)
        kidnapped = (1.0 - kept) * float(mass.sum())
        return kept * mass + kidnapped * self.prior, elsewhere + kidnapped * self.prior_elsewhere

    def _reached(self, mass: Array, dt_s: float) -> Array:
        """Spread evenly over the places that the camera can have reached."""
        if dt_s <= 0.0:
            return mass
        # The reach is computed for powers of two. A camera needs many images for a step between
        # places; each image moves a share of the mass.
        step_s = float(np.clip(2.0 ** np.ceil(np.log2(dt_s)), SHORTEST_S, LONGEST_S))
        moving = min(1.0, dt_s / self.step_s)
        return (1.0 - moving) * mass + moving * self._cells_within(step_s).spread(mass)

    def _cells_within(self, step_s: float) -> PoseCells:
        if step_s not in self._within_reach:
            self._within_reach[step_s] = PoseCells(
                self._T_map_cam,
                self._scale_m + self._speed_mps * step_s,
                self._scale_deg + self._turn_dps * step_s,
                self.place_density,
            )
        return self._within_reach[step_s]

    def _moved(self, mass: Array, dt_s: float, T_before_now: Array) -> tuple[Array, float]:
        """Mass of each place goes to the places around its moved pose; without any, off the map.

        This is exact for the places with most mass. The rest spreads within the bounds.
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
