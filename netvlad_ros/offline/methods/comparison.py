"""Methods judged on one benchmark, on the same images."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.methods.method import ImageSet, Method, MethodContext, Ranking
from netvlad_ros.offline.methods.peak_memory import forget_peak, peak_bytes
from netvlad_ros.offline.methods.registry import open_method
from netvlad_ros.offline.metrics.accuracy import RECALL_AT, recall_at_n, recall_json
from netvlad_ros.offline.metrics.bootstrap import bootstrap_interval
from netvlad_ros.offline.retrieval_benchmarks.registry import RETRIEVAL
from netvlad_ros.offline.retrieval_benchmarks.retrieval_scores import as_json, retrieval_scores

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress

Figures = dict[str, Any]  # plain JSON


def compare_method(
    name: str, benchmark: Benchmark, context: MethodContext, progress: Progress
) -> tuple[Figures, Ranking]:
    """Rank a benchmark by a method of that name: see judge_method."""
    gc.collect()
    forget_peak()
    return judge_method(open_method(name, context), benchmark, context.seed, progress)


def judge_method(
    method: Method, benchmark: Benchmark, seed: int, progress: Progress
) -> tuple[Figures, Ranking]:
    """Rank a benchmark by a method: its figures as plain JSON, and the ranking.

    `found_at_1` tells for each query whether the first place is right, None = it has no answer;
    `recall_at_1_interval` is one of 95 % over the queries. `peak_mb` is that of the whole process
    since forget_peak. `retrieval` has mean average precision where the benchmark is one of image
    retrieval. What does not count is taken out first (Benchmark.counted). Raises NetvladError.
    """
    retrieval = benchmark.name in RETRIEVAL
    database = ImageSet(benchmark.database)
    queries = ImageSet(benchmark.queries, benchmark.boxes, benchmark.query_order)
    k = len(database) if retrieval else benchmark.depth(max(RECALL_AT))
    ranking = method.rank(database, queries, k, progress)
    peak = peak_bytes()
    listed = [
        rows[benchmark.counted(query, rows)].tolist() for query, rows in enumerate(ranking.indices)
    ]
    right = [rows.tolist() for rows in benchmark.positives]
    found = [
        float(bool(set(answer[:1]) & set(rows))) if rows else None
        for answer, rows in zip(listed, right, strict=True)
    ]
    scores = retrieval_scores(benchmark, ranking.indices) if retrieval else {}
    interval = bootstrap_interval(np.array(found, dtype=np.float64), seed=seed)
    return {
        'method': method.name,
        'paper': method.paper,
        **recall_json(recall_at_n(listed, right, RECALL_AT)),
        'recall_at_1_interval': None if interval is None else [interval.low, interval.high],
        'found_at_1': found,
        'retrieval': as_json(scores, seed=seed),
        'seconds': ranking.seconds,
        'bytes_per_place': ranking.bytes_per_place,
        'peak_mb': None if peak is None else peak / 1e6,
    }, ranking
