"""What a benchmark of image retrieval reports of a ranking."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.metrics.average_precision import (
    RetrievalScore,
    Rows,
    revisited,
    score_rankings,
)
from netvlad_ros.offline.metrics.bootstrap import bootstrap_interval
from netvlad_ros.offline.retrieval_benchmarks.revisited import RevisitedBenchmark


def retrieval_scores(benchmark: Benchmark, indices: Rows) -> dict[str, RetrievalScore]:
    """Judge indices (Q, k), rows of the database, best first, -1 = none.

    Keys: 'easy', 'medium' and 'hard' of a revisited benchmark; 'all' of any other. Average
    precision is over the whole ranking: with k below the size of the database it is a lower bound.
    """
    if isinstance(benchmark, RevisitedBenchmark):
        return revisited(indices, benchmark.easy, benchmark.hard, benchmark.junk)
    return {'all': score_rankings(indices, benchmark.positives, benchmark.junk)}


def as_json(scores: dict[str, RetrievalScore], *, seed: int = 0) -> dict[str, Any]:
    """Plain values for metrics.json, shares in 0..1, intervals by bootstrap over the queries."""
    found: dict[str, Any] = {}
    for name, score in scores.items():
        interval = bootstrap_interval(score.average_precision, seed=seed)
        found[name] = {
            'queries': score.queries,
            'answerable': score.answerable,
            'mean_average_precision': score.mean_average_precision,
            'interval': None if interval is None else asdict(interval),
            'mean_precision_at': {str(k): v for k, v in score.mean_precision_at.items()},
        }
    return found
