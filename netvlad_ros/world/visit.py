"""Visit: light, season and camera of one visit to a place; and plans of several visits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netvlad_ros.world.rendering.daylight import Colour, Daylight

SEASONS = ('summer', 'autumn', 'winter', 'spring')
_FIRST_NS = 1_750_000_000_000_000_000
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class Visit:
    """What differs between visits to the same place.

    Attributes:
        number: of the visit, from 0.
        seed: of the place, and of the visit.
        light: name of the time of day or weather.
        daylight: drawn for this light.
        season: one of SEASONS.
        wet: whether the ground is wet.
        lateral_m: offset to the left of the route.
        yaw_deg: of the camera, against its usual mounting.
        pitch_deg: of the camera, against its usual mounting.
        lift_m: of the camera, against its usual mounting.
        zoom: factor of the focal length.
    """

    number: int
    seed: tuple[int, int]
    light: str
    daylight: Daylight
    season: str
    wet: bool
    lateral_m: float
    yaw_deg: float
    pitch_deg: float
    lift_m: float
    zoom: float

    @property
    def start_ns(self) -> int:
        """Stamp of the start: two months after the previous visit."""
        return _FIRST_NS + (61 * self.number + 1000 * (self.seed[0] % 4)) * _DAY_NS // 4

    def rng(self, purpose: int) -> np.random.Generator:
        """A random generator of this visit, one for each purpose."""
        return np.random.default_rng((*self.seed, purpose))


def plan_visits(seed: int, count: int) -> list[Visit]:
    """Plan visits to the place of a seed; no light or season repeats before all were used."""
    rng = np.random.default_rng((seed, 9000))
    lights = _shuffled(rng, list(_LIGHTS), count)
    seasons = _shuffled(rng, list(SEASONS), count)
    visits = []
    for number, (light, season) in enumerate(zip(lights, seasons, strict=True)):
        visits.append(
            Visit(
                number=number,
                seed=(seed, number),
                light=light,
                daylight=_LIGHTS[light](rng, int(rng.integers(2**31))),
                season=season,
                wet=bool(rng.uniform() < (0.5 if light in ('overcast', 'dusk') else 0.15)),
                lateral_m=float(rng.uniform(-0.65, 0.65)),
                yaw_deg=float(rng.uniform(-6.0, 6.0)),
                pitch_deg=float(rng.uniform(-2.0, 2.0)),
                lift_m=float(rng.uniform(-0.12, 0.12)),
                zoom=float(rng.uniform(0.95, 1.05)),
            )
        )
    return visits


def _shuffled(rng: np.random.Generator, names: list[str], count: int) -> list[str]:
    drawn: list[str] = []
    while len(drawn) < count:
        drawn += [names[int(i)] for i in rng.permutation(len(names))]
    return drawn[:count]


def _day(
    rng: np.random.Generator,
    seed: int,
    azimuth_deg: float,
    elevation_deg: tuple[float, float],
    sun: Colour,
    ambient: Colour,
    zenith: Colour,
    horizon: Colour,
    *,
    cloud: tuple[float, float] = (0.2, 0.7),
    exposure: float = 1.0,
    gamma: float = 1.0,
    noise: float = 2.5,
) -> Daylight:
    return Daylight(
        sun_azimuth_deg=azimuth_deg + float(rng.uniform(-25, 25)),
        sun_elevation_deg=float(rng.uniform(*elevation_deg)),
        sun=sun,
        ambient=ambient,
        zenith=zenith,
        horizon=horizon,
        cloud=float(rng.uniform(*cloud)),
        exposure=exposure * float(rng.uniform(0.88, 1.14)),
        gamma=gamma * float(rng.uniform(0.9, 1.12)),
        noise=noise * float(rng.uniform(0.7, 1.5)),
        vignette=float(rng.uniform(0.05, 0.35)),
        seed=seed,
    )


def _morning(rng: np.random.Generator, seed: int) -> Daylight:
    return _day(rng, seed, 25.0, (18, 32), (0.74, 0.62, 0.44), (0.56, 0.62, 0.74),
                (118, 158, 212), (232, 220, 205))  # fmt: skip


def _noon(rng: np.random.Generator, seed: int) -> Daylight:
    return _day(rng, seed, -90.0, (54, 66), (0.62, 0.58, 0.52), (0.8, 0.84, 0.9),
                (80, 132, 208), (190, 210, 230), noise=1.8)  # fmt: skip


def _evening(rng: np.random.Generator, seed: int) -> Daylight:
    return _day(rng, seed, 172.0, (13, 24), (0.95, 0.55, 0.26), (0.56, 0.49, 0.5),
                (112, 116, 150), (240, 178, 120), noise=3.5)  # fmt: skip


def _overcast(rng: np.random.Generator, seed: int) -> Daylight:
    return _day(rng, seed, -90.0, (50, 60), (0.05, 0.05, 0.05), (0.76, 0.79, 0.82),
                (168, 174, 182), (205, 208, 212), cloud=(0.95, 1.0), noise=3.0)  # fmt: skip


def _dusk(rng: np.random.Generator, seed: int) -> Daylight:
    return _day(rng, seed, 180.0, (20, 30), (0.03, 0.02, 0.03), (0.36, 0.37, 0.5),
                (40, 48, 88), (136, 106, 112), exposure=1.05, gamma=1.1, noise=6.0)  # fmt: skip


_LIGHTS: dict[str, Callable[[np.random.Generator, int], Daylight]] = {
    'morning': _morning, 'noon': _noon, 'evening': _evening, 'overcast': _overcast, 'dusk': _dusk,
}  # fmt: skip
