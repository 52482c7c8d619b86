"""UTM projection: latitude and longitude to metres east and north."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEMI_MAJOR_M, FLATTENING = 6378137.0, 1 / 298.257223563  # WGS84
CENTRAL_SCALE, FALSE_EAST_M, FALSE_NORTH_M = 0.9996, 500_000.0, 10_000_000.0


def utm_positions(lat_deg: Floats, lon_deg: Floats) -> tuple[Floats, str]:
    """Project all points in one zone, that of the median longitude.

    Points a little beyond the border of the zone stay comparable. Krueger's series is used to the
    third order: its error is below 1 mm in the zone. Lengths differ from those on the ground by up
    to 0.1 %, which is 25 mm on 25 m.

    Args:
        lat_deg: (N,) latitude [deg, WGS84].
        lon_deg: (N,) longitude [deg, WGS84].

    Returns:
        East and north (N, 2) [m], and the zone, "33N" for example.

    Source:
        Karney, "Transverse Mercator with an accuracy of a few nanometers", J. Geodesy 2011,
        equations 7 to 11 and 35.
    """
    zone = int((np.median(lon_deg) + 180.0) // 6.0) % 60 + 1
    south = bool(np.median(lat_deg) < 0.0)
    turn = np.radians((lon_deg - (6.0 * zone - 183.0) + 180.0) % 360.0 - 180.0)
    n = FLATTENING / (2.0 - FLATTENING)
    e = np.sqrt(FLATTENING * (2.0 - FLATTENING))
    sine = np.sin(np.radians(lat_deg))
    tau = np.sinh(np.arctanh(sine) - e * np.arctanh(e * sine))  # of the conformal latitude
    xi0 = np.arctan2(tau, np.cos(turn))
    eta0 = np.arctanh(np.sin(turn) / np.hypot(1.0, tau))
    series = (
        n / 2 - 2 * n**2 / 3 + 5 * n**3 / 16,
        13 * n**2 / 48 - 3 * n**3 / 5,
        61 * n**3 / 240,
    )
    xi, eta = xi0.copy(), eta0.copy()
    for order, factor in enumerate(series, start=1):
        xi += factor * np.sin(2 * order * xi0) * np.cosh(2 * order * eta0)
        eta += factor * np.cos(2 * order * xi0) * np.sinh(2 * order * eta0)
    radius = CENTRAL_SCALE * SEMI_MAJOR_M / (1 + n) * (1 + n**2 / 4 + n**4 / 64)
    east = FALSE_EAST_M + radius * eta
    north = radius * xi + (FALSE_NORTH_M if south else 0.0)
    return np.stack([east, north], axis=1), f'{zone}{"S" if south else "N"}'


def heading_of_bearing(bearing_deg: Floats) -> Floats:
    """Compass bearing (clockwise from north) to heading (counter-clockwise from east) [deg]."""
    return (90.0 - bearing_deg) % 360.0
