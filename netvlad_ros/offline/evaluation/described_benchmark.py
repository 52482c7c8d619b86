"""DescribedBenchmark: descriptors of a benchmark's images, and its ranking by their cosines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.methods.method import ImageSet, Ranking, Stopwatch, ranked
from netvlad_ros.offline.methods.recipe import CosineIndex, Vector
from netvlad_ros.offline.progress import Progress
from netvlad_ros.offline.report.similarity_matrix import PooledSimilarity


@dataclass(frozen=True, eq=False)
class DescribedBenchmark:
    """Descriptors of the images of a benchmark.

    Attributes:
        database: float32 (D,) for each of N places.
        queries: float32 (D,) for each of Q queries.
        query_order: int64 (Q,), rows of the queries by time.
        describe_s: mean time to describe an image [s], reading the file left out.
    """

    database: list[Vector]
    queries: list[Vector]
    query_order: NDArray[np.int64]
    describe_s: float

    @classmethod
    def of(
        cls,
        benchmark: Benchmark,
        describe: Callable[[NDArray[np.uint8]], Vector],
        progress: Progress,
    ) -> DescribedBenchmark:
        """Describe every image once, the database first, by a unit vector float32 (D,).

        Raises:
            NetvladError: an image is unusable.
        """
        database = ImageSet(benchmark.database)
        queries = ImageSet(benchmark.queries, benchmark.boxes, benchmark.query_order)
        total = len(database) + len(queries)
        describing = Stopwatch()
        described: list[Vector] = []
        for side in (database, queries):
            for row in range(len(side)):
                rgb = side[row]
                with describing:
                    described.append(describe(rgb))
                progress(len(described), total)
        return cls(
            database=described[: len(database)],
            queries=described[len(database) :],
            query_order=queries.order,
            describe_s=describing.seconds / max(total, 1),
        )

    def rank(self, k: int) -> Ranking:
        """Rank the k best places for each query, by cosine."""
        indexing, searching = Stopwatch(), Stopwatch()
        with indexing:
            index = CosineIndex(self.database)
        with searching:
            by_time = [self.queries[row] for row in self.query_order]
            indices, scores = ranked(index.rows(by_time), k)
        listed = np.argsort(self.query_order)
        return Ranking(
            indices[listed],
            scores[listed],
            index.bytes_per_place,
            {
                'fit': indexing.seconds,
                'describe_per_image': self.describe_s,
                'search_per_query': searching.seconds / max(len(self.queries), 1),
            },
        )

    def similarity(self) -> NDArray[np.float32]:
        """Pooled cosines of all queries and places, float32 (rows, columns)."""
        pooled = PooledSimilarity(np.array(self.database), len(self.queries))
        for descriptor in self.queries:
            pooled.add(descriptor)
        return pooled.matrix()
