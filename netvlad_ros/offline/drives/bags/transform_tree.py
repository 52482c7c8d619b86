"""TransformTree: the TF tree of a bag, fixed and moving transforms between named frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import invert, pose_matrix
from netvlad_ros.offline.drives.bags.pose_track import PoseTrack


class TransformTree:
    """All transforms of `/tf` and `/tf_static`, at any stamp."""

    def __init__(self) -> None:
        self._moving: dict[tuple[str, str], PoseTrack] = {}
        self._fixed: dict[tuple[str, str], NDArray[np.float64]] = {}
        self._parents: dict[str, set[str]] = {}

    def add(
        self, parent: str, child: str, stamp_ns: int, numbers: Sequence[float], *, fixed: bool
    ) -> None:
        """Add T_parent_child as x, y, z [m], qx, qy, qz, qw; a fixed one holds at all stamps."""
        edge = (parent, child)
        self._parents.setdefault(child, set()).add(parent)
        if fixed:
            self._fixed[edge] = pose_matrix(numbers[:3], numbers[3:])
            return
        if edge not in self._moving:
            self._moving[edge] = PoseTrack(f'transform {parent} -> {child}')
        self._moving[edge].add(stamp_ns, numbers)

    def frames(self) -> list[str]:
        """Names of all frames."""
        parents = (parent for found in self._parents.values() for parent in found)
        return sorted({*self._parents, *parents})

    def connects(self, target: str, source: str) -> bool:
        """Say whether a chain of transforms leads from source to target."""
        above_target, above_source = self._ancestors(target), self._ancestors(source)
        return above_target[-1] == above_source[-1]

    def fixed(self, target: str, source: str) -> NDArray[np.float64] | None:
        """T_target_source (4, 4) if only fixed transforms are between them, else None."""
        if not self.connects(target, source):
            return None
        up, down = self._chain(target, source)
        if not all(edge in self._fixed for edge in (*up, *down)):
            return None
        return self._compose(up, down, 0, 0)

    def at(
        self, target: str, source: str, stamp_ns: int, tolerance_ns: int
    ) -> NDArray[np.float64] | None:
        """T_target_source (4, 4) at a stamp; None where a transform has a gap there.

        Raises NetvladError if no chain of transforms leads from source to target.
        """
        if not self.connects(target, source):
            raise NetvladError(f'TF does not connect {target} with {source}')
        return self._compose(*self._chain(target, source), stamp_ns, tolerance_ns)

    def _ancestors(self, frame: str) -> list[str]:
        chain = [frame]
        while found := self._parents.get(chain[-1]):
            if len(found) > 1:
                raise NetvladError(
                    f'TF frame {chain[-1]} has several parents in this bag: '
                    f'{", ".join(sorted(found))}; it must have one'
                )
            (parent,) = found
            if parent in chain:
                raise NetvladError(f'TF runs in a circle: {" <- ".join([*chain, parent])}')
            chain.append(parent)
        return chain

    def _chain(
        self, target: str, source: str
    ) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Edges from the common ancestor to target, and to source, topmost last."""
        above_target, above_source = self._ancestors(target), self._ancestors(source)
        while (
            len(above_target) > 1 and len(above_source) > 1 and above_target[-2] == above_source[-2]
        ):
            above_target.pop()
            above_source.pop()
        return (
            list(zip(above_target[1:], above_target[:-1], strict=True)),
            list(zip(above_source[1:], above_source[:-1], strict=True)),
        )

    def _compose(
        self,
        up: list[tuple[str, str]],
        down: list[tuple[str, str]],
        stamp_ns: int,
        tolerance_ns: int,
    ) -> NDArray[np.float64] | None:
        T_top_target = self._product(up, stamp_ns, tolerance_ns)
        T_top_source = self._product(down, stamp_ns, tolerance_ns)
        if T_top_target is None or T_top_source is None:
            return None
        return np.asarray(invert(T_top_target) @ T_top_source, dtype=np.float64)

    def _product(
        self, edges: list[tuple[str, str]], stamp_ns: int, tolerance_ns: int
    ) -> NDArray[np.float64] | None:
        T = np.eye(4)
        for edge in edges:
            if edge in self._fixed:
                T_edge: NDArray[np.float64] | None = self._fixed[edge]
            else:
                T_edge = self._moving[edge].at(stamp_ns, tolerance_ns)
            if T_edge is None:
                return None
            T = T_edge @ T
        return T
