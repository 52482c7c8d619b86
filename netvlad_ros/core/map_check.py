"""Whether the parts of a map fit one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.map_files import PLACES_NAME

if TYPE_CHECKING:
    from netvlad_ros.core.place_map import PlaceMap


def check_map(place_map: PlaceMap, where: str) -> None:
    """Raise NetvladError, which `where` begins, unless the parts of a map fit one another."""
    n = len(place_map.place_ids)
    if n == 0:
        raise NetvladError(f'{where} has no places; nothing can be recognised with it')
    if place_map.descriptors.ndim != 2 or not (
        len(place_map.descriptors) == len(place_map.recordings) == len(place_map.images) == n
        and place_map.stamps_ns.shape == (n,)
        and place_map.T_map_cam.shape == (n, 4, 4)
    ):
        raise NetvladError(f'{where} has columns of different length')
    with np.errstate(over='ignore', invalid='ignore'):
        norms = np.linalg.norm(place_map.descriptors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1.0) < 1e-3))
    if len(wrong):
        raise NetvladError(
            f'{where}: the descriptor of place {place_map.place_ids[wrong[0]]} has the length '
            f'{norms[wrong[0]]:.4g}, not 1; build the map again'
        )
    poses = (
        place_map.T_map_cam
        if place_map.T_base_cam is None
        else [*place_map.T_map_cam, place_map.T_base_cam]
    )
    if not np.isfinite(poses).all():
        raise NetvladError(f'{where} holds poses that are not finite; build it again')
    if len(np.unique(place_map.place_ids)) != n:
        raise NetvladError(f'{where}: {PLACES_NAME} uses a place id twice; build it again')
    if not place_map.frame_id:
        raise NetvladError(f'{where} does not name its frame')
    if place_map.features is not None and len(place_map.features) != n:
        raise NetvladError(f'{where} has features of {len(place_map.features)} places, not of {n}')
