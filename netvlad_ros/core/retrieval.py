"""Retrieval of similar map images, and their grouping by place."""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.geometry import Array, around

MAX_PLACES = 50  # an image that is similar to more places distinguishes none of them


@dataclass(frozen=True)
class Candidates:
    """The map images that are similar to an image, most similar first.

    A place is named by the rank of its most similar candidate.

    Attributes:
        descriptor: float32 (D,), of the image.
        indices: int64 (k,), rows of the map.
        similarity: float32 (k,), cosines.
        T_map_cam: float64 (k, 4, 4), camera poses of the map images.
        place_of: int64 (k,), the place that each candidate shows, -1 beyond MAX_PLACES places.
    """

    descriptor: NDArray[np.float32]
    indices: NDArray[np.int64]
    similarity: NDArray[np.float32]
    T_map_cam: Array
    place_of: NDArray[np.int64]


class ExactSearch:
    """Compares every descriptor with the query; fast enough below some 100,000 places."""

    def __init__(self, descriptors: NDArray[np.float32]) -> None:
        """Index descriptors, float32 (N, D) of unit rows, N >= 1."""
        self._index = faiss.IndexFlatIP(descriptors.shape[1])
        self._index.add(np.ascontiguousarray(descriptors, dtype=np.float32))

    def search(
        self, descriptor: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k most similar rows to descriptor (D,): indices and cosines, best first."""
        # One query is too little work for several threads. Measured with 10,000 places of 512
        # dimensions: two threads took 4.7 ms (16 ms at the 99th percentile), one took 0.9 ms
        # (1.0 ms). OpenMP applies the setting to the calling thread alone, so it is set here.
        faiss.omp_set_num_threads(1)
        k = min(k, self._index.ntotal)
        similarity, indices = self._index.search(descriptor[np.newaxis].astype(np.float32), k)
        return indices[0].astype(np.int64), similarity[0]


def group(T_map_cam: Array, radius_m: float, radius_deg: float) -> NDArray[np.int64]:
    """Group candidates by place: those around the most similar unclaimed one show one place.

    Args:
        T_map_cam: float64 (k, 4, 4), camera poses of the candidates, most similar first.
        radius_m: of a place [m].
        radius_deg: of a place [deg].

    Returns:
        int64 (k,), see Candidates.place_of.
    """
    place_of = np.full(len(T_map_cam), -1, dtype=np.int64)
    for _ in range(MAX_PLACES):
        unclaimed = np.flatnonzero(place_of < 0)
        if not len(unclaimed):
            break
        members = around(T_map_cam[unclaimed], T_map_cam[unclaimed[0]], radius_m, radius_deg)
        place_of[unclaimed[members]] = unclaimed[0]
    return place_of
