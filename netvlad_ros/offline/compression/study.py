"""A grid of whitenings, dimensions and codes, and its Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.compression.benchmark_descriptors import BenchmarkDescriptors
from netvlad_ros.offline.compression.projections import (
    LEARNED_WHITENINGS,
    WHITENINGS,
    fitted_rotations,
)
from netvlad_ros.offline.compression.quantization import CODES, EXACT, LEARNED_CODES, find
from netvlad_ros.offline.methods.method import MethodContext
from netvlad_ros.offline.metrics.bootstrap import Interval, bootstrap_interval, paired_difference

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


RECALL_AT = (1, 5)
DIMENSIONS = (512, 256, 128, 64, 32)


@dataclass(frozen=True)
class Grid:
    """What is tried: every whitening at every number of dimensions in every code."""

    whitenings: tuple[str, ...] = WHITENINGS
    dimensions: tuple[int, ...] | None = None  # None: the model's own, and those of DIMENSIONS
    codes: tuple[str, ...] = CODES

    def __post_init__(self) -> None:
        _check_names('whitening', self.whitenings, WHITENINGS)
        _check_names('code', self.codes, CODES)

    def dimensions_of(self, dim: int) -> tuple[int, ...]:
        """Those to try on descriptors of dim. Raises NetvladError if they have fewer."""
        if self.dimensions is None:
            return (dim, *(smaller for smaller in DIMENSIONS if smaller < dim))
        wrong = [each for each in self.dimensions if not 1 <= each <= dim]
        if wrong or not self.dimensions:
            raise NetvladError(
                f'dimensions must lie in 1..{dim}, which the model has, not {wrong or "none"}'
            )
        return self.dimensions


@dataclass(frozen=True)
class Study:
    """Points by bytes, the fewest first, and what could not be: name of a point and why.

    exact: recall@1 of the whole descriptors, in 0..1.
    """

    points: tuple[StorageOption, ...]
    exact: float
    left_out: dict[str, str]


def study(
    sides: BenchmarkDescriptors,
    benchmark: Benchmark,
    grid: Grid,
    context: MethodContext,
    progress: Progress,
) -> Study:
    """Try a grid on descriptors. Raises NetvladError where nothing can be judged."""
    if not any(map(len, benchmark.positives)):
        raise NetvladError(f'no query of {benchmark.name} has an answer: there is no recall')
    faiss.omp_set_num_threads(context.thread_count)
    seed = context.seed
    rotations = fitted_rotations(grid.whitenings, sides.fit, seed)
    dimensions = grid.dimensions_of(sides.database.shape[1])
    turned = list(product(grid.whitenings, dimensions))
    total = len(turned) * len(grid.codes)
    k = benchmark.depth(max(RECALL_AT))
    whole = find(EXACT, sides.fit, sides.database, sides.queries, k, seed)
    exact = _hits(whole.rows, benchmark)
    points: list[StorageOption] = []
    left_out: dict[str, str] = {}
    for name, dim in turned:
        rotation = rotations[name]
        try:
            fit, database, queries = (
                rotation(side, dim) for side in (sides.fit, sides.database, sides.queries)
            )
        except NetvladError as error:
            left_out |= {f'{name} {dim} {code}': str(error) for code in grid.codes}
            continue
        for code in grid.codes:
            progress(len(points) + len(left_out), total)
            try:
                found = find(code, fit, database, queries, k, seed)
            except NetvladError as error:
                left_out[f'{name} {dim} {code}'] = str(error)
                continue
            hits = _hits(found.rows, benchmark)
            points.append(
                StorageOption(
                    name,
                    dim,
                    code,
                    found.bytes_per_place,
                    found.shared_bytes + rotation.shared_bytes(dim),
                    {n: float(np.nanmean(each)) for n, each in hits.items()},
                    {n: bootstrap_interval(each, seed=seed) for n, each in hits.items()},
                    paired_difference(hits[1], exact[1], seed=seed),
                    fitted=name in LEARNED_WHITENINGS or code in LEARNED_CODES,
                )
            )
    progress(total, total)
    if not points:
        raise NetvladError(f'nothing of this could be tried: {next(iter(left_out.values()))}')
    return Study(marked(points), float(np.nanmean(exact[1])), left_out)


def _hits(rows: NDArray[np.int64], benchmark: Benchmark) -> dict[int, Array]:
    """N -> per query (Q,) 1 if a right place is among the first N, 0 if not, NaN unanswerable."""
    hits = {n: np.full(len(rows), np.nan) for n in RECALL_AT}
    for query, (answer, right) in enumerate(zip(rows, map(set, benchmark.positives), strict=True)):
        listed = answer[benchmark.counted(query, answer)].tolist()
        for n in RECALL_AT:
            if right:
                hits[n][query] = not right.isdisjoint(listed[:n])
    return hits


def _check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise NetvladError(f"'{', '.join(unknown)}' is no {what}; known are {', '.join(known)}")


@dataclass(frozen=True)
class StorageOption:
    """One way to store descriptors. recall: N -> share of the answerable queries, in 0..1.

    intervals: of 95 % over the queries. to_exact: recall@1 less that of the whole descriptors, on
    the same queries. None with fewer than two answerable queries. fitted: whitening or code learned
    from images. front: nothing of as many bytes
    or fewer has as much recall@1.
    """

    whitening: str
    dimensions: int
    code: str
    bytes_per_place: int
    shared_bytes: int
    recall: dict[int, float]
    intervals: dict[int, Interval | None]
    to_exact: Interval | None
    fitted: bool = False
    front: bool = False

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return asdict(self)


def marked(points: Sequence[StorageOption]) -> tuple[StorageOption, ...]:
    """Points by bytes, then by recall@1, those on the Pareto front marked."""
    best = -1.0
    ordered = []
    for point in sorted(points, key=lambda each: (each.bytes_per_place, -each.recall[1])):
        ordered.append(replace(point, front=point.recall[1] > best))
        best = max(best, point.recall[1])
    return tuple(ordered)
