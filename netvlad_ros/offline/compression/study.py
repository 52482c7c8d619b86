"""Study: recall against bytes per place, over whitenings, dimensions and quantizations."""

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
    fit_projections,
)
from netvlad_ros.offline.compression.quantization import (
    EXACT,
    LEARNED_QUANTIZATIONS,
    QUANTIZATIONS,
    search,
)
from netvlad_ros.offline.methods.method import MethodContext
from netvlad_ros.offline.metrics.bootstrap import Interval, bootstrap_interval, paired_difference

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


RECALL_AT = (1, 5)
DIMENSIONS = (512, 256, 128, 64, 32)


@dataclass(frozen=True)
class Grid:
    """What is tried: every whitening at every number of dimensions in every quantization.

    Attributes:
        whitenings: names of WHITENINGS.
        dimensions: numbers of dimensions; None = the model's own, and those of DIMENSIONS below.
        quantizations: names of QUANTIZATIONS.
    """

    whitenings: tuple[str, ...] = WHITENINGS
    dimensions: tuple[int, ...] | None = None
    quantizations: tuple[str, ...] = QUANTIZATIONS

    def __post_init__(self) -> None:
        _check_names('whitening', self.whitenings, WHITENINGS)
        _check_names('code', self.quantizations, QUANTIZATIONS)

    def dimensions_of(self, dim: int) -> tuple[int, ...]:
        """Numbers of dimensions to try on descriptors of `dim`.

        Raises:
            NetvladError: a number is asked for that is not in 1..dim, or none is asked for.
        """
        if self.dimensions is None:
            return (dim, *(smaller for smaller in DIMENSIONS if smaller < dim))
        wrong = [each for each in self.dimensions if not 1 <= each <= dim]
        if wrong or not self.dimensions:
            raise NetvladError(
                f'dimensions must lie in 1..{dim}, which the model has, not {wrong or "none"}'
            )
        return self.dimensions


@dataclass(frozen=True)
class StorageOption:
    """One way to store descriptors, and the recall that it reaches.

    Attributes:
        whitening: a name of WHITENINGS.
        dimensions: how many are kept.
        quantization: a name of QUANTIZATIONS.
        bytes_per_place: size of one stored descriptor.
        shared_bytes: size of codebooks and matrices, once for all places.
        recall: N -> share of the answerable queries, in 0..1.
        intervals: N -> 95 % interval of recall over the queries; None with fewer than two
            answerable queries.
        to_exact: recall@1 less that of the whole descriptors, on the same queries; None with fewer
            than two answerable queries.
        fitted: whether whitening or quantization are learned from images.
        front: whether no option of as many bytes or fewer has as much recall@1.
    """

    whitening: str
    dimensions: int
    quantization: str
    bytes_per_place: int
    shared_bytes: int
    recall: dict[int, float]
    intervals: dict[int, Interval | None]
    to_exact: Interval | None
    fitted: bool = False
    front: bool = False

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON; the quantization is called `code` there."""
        return {
            'code' if name == 'quantization' else name: value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class Study:
    """The storage options of a grid, measured.

    Attributes:
        options: ordered by bytes, the fewest first.
        exact: recall@1 of the whole descriptors, in 0..1.
        left_out: name of an option that is impossible -> why.
    """

    options: tuple[StorageOption, ...]
    exact: float
    left_out: dict[str, str]


def study(
    descriptors: BenchmarkDescriptors,
    benchmark: Benchmark,
    grid: Grid,
    context: MethodContext,
    progress: Progress,
) -> Study:
    """Measure every option of a grid on descriptors.

    Raises:
        NetvladError: no query has an answer, or every option is impossible.
    """
    if not any(map(len, benchmark.positives)):
        raise NetvladError(f'no query of {benchmark.name} has an answer: there is no recall')
    faiss.omp_set_num_threads(context.thread_count)
    seed = context.seed
    projections = fit_projections(grid.whitenings, descriptors.fit, seed)
    dimensions = grid.dimensions_of(descriptors.database.shape[1])
    projected = list(product(grid.whitenings, dimensions))
    total = len(projected) * len(grid.quantizations)
    k = benchmark.depth(max(RECALL_AT))
    all_sets = (descriptors.fit, descriptors.database, descriptors.queries)
    exact = _hits(search(EXACT, *all_sets, k, seed).rows, benchmark)
    options: list[StorageOption] = []
    left_out: dict[str, str] = {}
    for whitening, dim in projected:
        projection = projections[whitening]
        try:
            fit, database, queries = (projection(vectors, dim) for vectors in all_sets)
        except NetvladError as error:
            left_out |= {f'{whitening} {dim} {name}': str(error) for name in grid.quantizations}
            continue
        for quantization in grid.quantizations:
            progress(len(options) + len(left_out), total)
            try:
                result = search(quantization, fit, database, queries, k, seed)
            except NetvladError as error:
                left_out[f'{whitening} {dim} {quantization}'] = str(error)
                continue
            hits = _hits(result.rows, benchmark)
            options.append(
                StorageOption(
                    whitening,
                    dim,
                    quantization,
                    result.bytes_per_place,
                    result.shared_bytes + projection.shared_bytes(dim),
                    {n: float(np.nanmean(each)) for n, each in hits.items()},
                    {n: bootstrap_interval(each, seed=seed) for n, each in hits.items()},
                    paired_difference(hits[1], exact[1], seed=seed),
                    fitted=whitening in LEARNED_WHITENINGS or quantization in LEARNED_QUANTIZATIONS,
                )
            )
    progress(total, total)
    if not options:
        raise NetvladError(f'nothing of this could be tried: {next(iter(left_out.values()))}')
    return Study(mark_front(options), float(np.nanmean(exact[1])), left_out)


def mark_front(options: Sequence[StorageOption]) -> tuple[StorageOption, ...]:
    """Options by bytes, then by falling recall@1, with the Pareto front marked."""
    best = -1.0
    ordered = []
    for option in sorted(options, key=lambda each: (each.bytes_per_place, -each.recall[1])):
        ordered.append(replace(option, front=option.recall[1] > best))
        best = max(best, option.recall[1])
    return tuple(ordered)


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
