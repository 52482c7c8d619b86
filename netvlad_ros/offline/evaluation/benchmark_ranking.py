"""A benchmark ranked by any method, and its metrics."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.retrieval.registry import RETRIEVAL
from netvlad_ros.offline.benchmarks.retrieval.revisited import RevisitedBenchmark
from netvlad_ros.offline.methods.method import ImageSet, Method, Ranking
from netvlad_ros.offline.metrics.accuracy import RECALL_AT, recall_at_n, recall_json
from netvlad_ros.offline.metrics.average_precision import (
    RetrievalScore,
    Rows,
    revisited,
    score_rankings,
)
from netvlad_ros.offline.metrics.bootstrap import bootstrap_interval

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


Metrics = dict[str, Any]  # plain JSON


def judge_method(
    method: Method, benchmark: Benchmark, seed: int, progress: Progress
) -> tuple[Metrics, Ranking]:
    """Rank a benchmark by a method: its metrics as plain JSON, and the ranking.

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


_FORGET = Path('/proc/self/clear_refs')
_STATUS = Path('/proc/self/status')
_RESET_PEAK = '5'  # proc(5): sets the peak to what is resident now


def forget_peak() -> None:
    """Let the peak begin anew, where the system allows it."""
    try:
        _FORGET.write_text(_RESET_PEAK)
    except OSError:
        return  # then the peak is that of the process so far: more than the truth, never less


def peak_bytes() -> int | None:
    """Largest resident size of this process since forget_peak; None where it is not told."""
    try:
        found = re.search(r'VmHWM:\s*(\d+) kB', _STATUS.read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
