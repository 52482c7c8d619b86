"""Which keyframes may see the same things, judged by their poses alone."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from netvlad_ros.core.geometry import Array, rotation_angle_deg

# Near ones match best, far ones give parallax: a map may hold an image every centimetre or every
# four metres, so neighbours are taken by rank, ever more sparsely.
RANKS = (1, 2, 4, 7, 12, 20, 33, 55, 90, 150, 250)
MAX_ANGLE_DEG = 60.0


def covisible_pairs(T_map_cam: Array) -> list[tuple[int, int]]:
    """Pairs (a, b), a < b, of keyframes T_map_cam (N, 4, 4) to be matched, about 9 N of them."""
    positions = T_map_cam[:, :3, 3]
    tree = cKDTree(positions)
    pairs = set()
    for a in range(len(positions)):
        _, near = tree.query(positions[a], k=min(2 * RANKS[-1], len(positions)))
        near = np.atleast_1d(near)
        turned = rotation_angle_deg(T_map_cam[near], T_map_cam[a : a + 1])
        near = near[(turned <= MAX_ANGLE_DEG) & (near != a)]
        for rank in RANKS:
            if rank <= len(near):
                b = int(near[rank - 1])
                pairs.add((min(a, b), max(a, b)))
    return sorted(pairs)
