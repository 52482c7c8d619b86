"""Which map images are similar, and which places they show."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array, around


class ExactSearch:
    """Every descriptor compared with the query: the right choice below some 100,000 places."""

    def __init__(self, descriptors: NDArray[np.float32]) -> None:
        """Index descriptors, float32 (N, D) of unit rows, N >= 1."""
        self._index = faiss.IndexFlatIP(descriptors.shape[1])
        self._index.add(np.ascontiguousarray(descriptors, dtype=np.float32))

    def search(
        self, descriptor: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k most similar rows to descriptor (D,): indices and cosines, best first."""
        # One query is too little work to share out: among 10,000 places of 512 dimensions two
        # threads took 4.7 ms (16 ms at the 99th percentile), one takes 0.9 (1.0). The setting is
        # OpenMP's, and counts for the calling thread alone; hence here.
        faiss.omp_set_num_threads(1)
        k = min(k, self._index.ntotal)
        similarity, indices = self._index.search(descriptor[np.newaxis].astype(np.float32), k)
        return indices[0].astype(np.int64), similarity[0]


MAX_PLACES = 50  # an image that resembles more places equally says nothing about any of them


def group(T_map_cam: Array, radius_m: float, radius_deg: float) -> NDArray[np.int64]:
    """Leaders (k,) of look-alikes T_map_cam (k, 4, 4), most similar first: see Hypotheses.

    Look-alikes around the most similar unclaimed one show one place.
    """
    leader = np.full(len(T_map_cam), -1, dtype=np.int64)
    for _ in range(MAX_PLACES):
        unclaimed = np.flatnonzero(leader < 0)
        if not len(unclaimed):
            break
        members = around(T_map_cam[unclaimed], T_map_cam[unclaimed[0]], radius_m, radius_deg)
        leader[unclaimed[members]] = unclaimed[0]
    return leader
