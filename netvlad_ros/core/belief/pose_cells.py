"""PoseCells: places grouped by pose, so that prediction costs the same on any map density."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from netvlad_ros.core.geometry import Array

CELL = 0.5  # of the scale; places within one cell share their mass
MAX_NEIGHBOURS = 32  # cells, of each cell: memory stays O(N)


class PoseCells:
    """N poses in cells of CELL of a scale.

    Many images of one spot fall into one cell, so that a bounded number of neighbours still
    reaches as far as the scale says.

    Args:
        T_map_cam: float64 (N, 4, 4).
        scale_m: distance [m] that counts as 1.
        scale_deg: angle [deg] that counts as 1.
        weight: float64 (N,), of each place within its cell; None = equal weights.
    """

    def __init__(
        self, T_map_cam: Array, scale_m: float, scale_deg: float, weight: Array | None = None
    ) -> None:
        self._origin = np.median(T_map_cam[:, :3, 3], axis=0)
        self._scale_m, self._scale_rad = scale_m, np.radians(scale_deg)
        points = self.embed(T_map_cam)
        keys = np.rint(points / CELL).astype(np.int64)
        _, cell_of = np.unique(keys, axis=0, return_inverse=True)
        self.cell_of: NDArray[np.int64] = cell_of.reshape(-1)  # (N,) the cell of each place
        self.counts = np.bincount(self.cell_of).astype(np.float64)  # (C,) places in each cell
        self._weight = np.ones(len(points)) if weight is None else weight
        self._cell_weight = self.gather(self._weight)
        centres = np.stack([self.gather(column) for column in points.T], axis=1)
        self._tree = cKDTree(centres / self.counts[:, np.newaxis])

    def embed(self, T: Array) -> Array:
        """Points (k, 12) for motions (k, 4, 4), whose distance is 1 where the scale is reached.

        Chords stand for angles: 2 sin(angle / 2), 4 % short at 60 degrees.
        """
        position = (T[:, :3, 3] - self._origin) / self._scale_m
        rotation = T[:, :3, :3].reshape(-1, 9) / (np.sqrt(2.0) * self._scale_rad)
        return np.clip(np.hstack([position, rotation]), -1e15, 1e15)

    def gather(self, values: Array) -> Array:
        """Sum values (N,) of places within each cell, (C,)."""
        sums = np.bincount(self.cell_of, weights=values, minlength=len(self.counts))
        return np.asarray(sums, dtype=np.float64)

    def scatter(self, mass: Array) -> Array:
        """Distribute mass (C,) of the cells to their places, (N,), by their weights."""
        return np.asarray((mass / self._cell_weight)[self.cell_of] * self._weight)

    def nearest(self, points: Array, reach: float) -> tuple[Array, NDArray[np.int64]]:
        """Cells nearest to points (k, 12): distances (k, n), inf beyond the reach, and indices."""
        ranks = np.arange(1, min(MAX_NEIGHBOURS, len(self.counts)) + 1)
        found = self._tree.query(points, k=ranks, distance_upper_bound=reach)
        return np.asarray(found[0], dtype=np.float64), np.asarray(found[1], dtype=np.int64)

    def spread(self, mass: Array) -> Array:
        """Spread the mass (N,) of each place over all places within distance 1, by weight."""
        return self.scatter(self._transition @ self.gather(mass))

    def prepare(self) -> None:
        """Compute now what the first `spread` needs."""
        _ = self._transition

    def crowd(self) -> Array:
        """Number of places within distance 1 of each place, itself included, (N,)."""
        source, target = self._links()
        of_cell = np.bincount(source, weights=self.counts[target])
        return np.asarray(of_cell[self.cell_of], dtype=np.float64)

    @cached_property
    def _transition(self) -> csr_matrix:
        """Share of a cell's mass (column) that `spread` moves to each cell (row), (C, C)."""
        source, target = self._links()
        share = self._cell_weight[target]
        share = share / np.bincount(source, weights=share)[source]
        return csr_matrix((share, (target, source)), shape=(len(self.counts),) * 2)

    def _links(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every pair of cells (source, target) within distance 1; a cell reaches itself."""
        near, target = self.nearest(np.asarray(self._tree.data), 1.0 + 1e-6)
        reached = np.isfinite(near)
        source = np.broadcast_to(np.arange(len(near))[:, np.newaxis], target.shape)
        return source[reached], target[reached]
