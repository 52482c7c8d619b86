"""RankingMetrics: a benchmark ranked by any method, and its metrics; peak memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.retrieval.registry import RETRIEVAL
from netvlad_ros.offline.benchmarks.retrieval.revisited import RevisitedBenchmark
from netvlad_ros.offline.methods.method import ImageSet, Method, Ranking
from netvlad_ros.offline.metrics.accuracy import RECALL_AT, Recall, recall_at_n
from netvlad_ros.offline.metrics.average_precision import (
    RetrievalScore,
    Rows,
    revisited,
    score_rankings,
)
from netvlad_ros.offline.metrics.bootstrap import Interval, bootstrap_interval

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


Metrics = dict[str, Any]  # plain JSON


@dataclass(frozen=True)
class RankingMetrics:
    """The metrics of a ranking of a benchmark.

    Attributes:
        recall: of the ranking.
        found_at_1: for each query whether its first place is right; None = it has no answer.
        recall_at_1_interval: of 95 % over the queries.
        retrieval: part -> average precision; empty unless the benchmark is one of image retrieval.
        retrieval_seed: of the intervals of the average precision.
        seconds: stage -> time [s], see Ranking.
        bytes_per_place: of the index.
        peak_mb: peak memory of the whole process since forget_peak; None if it is unknown.
    """

    recall: Recall
    found_at_1: tuple[float | None, ...]
    recall_at_1_interval: Interval | None
    retrieval: Mapping[str, RetrievalScore]
    retrieval_seed: int
    seconds: Mapping[str, float]
    bytes_per_place: float
    peak_mb: float | None

    @classmethod
    def of(cls, ranking: Ranking, benchmark: Benchmark, seed: int = 0) -> RankingMetrics:
        """Compare a ranking with the ground truth of its benchmark.

        Places that do not count (Benchmark.counted) are taken out first.
        """
        peak = peak_bytes()
        listed = [
            rows[benchmark.counted(query, rows)].tolist()
            for query, rows in enumerate(ranking.indices)
        ]
        right = [rows.tolist() for rows in benchmark.positives]
        found = [
            float(bool(set(answer[:1]) & set(rows))) if rows else None
            for answer, rows in zip(listed, right, strict=True)
        ]
        is_retrieval = benchmark.name in RETRIEVAL
        return cls(
            recall=recall_at_n(listed, right),
            found_at_1=tuple(found),
            recall_at_1_interval=bootstrap_interval(np.array(found, dtype=np.float64), seed=seed),
            retrieval=retrieval_scores(benchmark, ranking.indices) if is_retrieval else {},
            retrieval_seed=seed,
            seconds=ranking.seconds,
            bytes_per_place=ranking.bytes_per_place,
            peak_mb=None if peak is None else peak / 1e6,
        )

    def to_json(self, *, with_interval: bool = False) -> Metrics:
        """The metrics as metrics.json has them; `recall_at_1_interval` if asked for."""
        interval = self.recall_at_1_interval
        ends = None if interval is None else [interval.low, interval.high]
        return {
            **self.recall.to_json(),
            **({'recall_at_1_interval': ends} if with_interval else {}),
            'found_at_1': list(self.found_at_1),
            'retrieval': retrieval_json(self.retrieval, seed=self.retrieval_seed),
            'seconds': dict(self.seconds),
            'bytes_per_place': self.bytes_per_place,
            'peak_mb': self.peak_mb,
        }


def ranking_depth(benchmark: Benchmark) -> int:
    """How many places are ranked for each query: all of them for image retrieval."""
    if benchmark.name in RETRIEVAL:
        return len(benchmark.database)
    return benchmark.depth(max(RECALL_AT))


def evaluate_method(
    method: Method, benchmark: Benchmark, seed: int, progress: Progress
) -> tuple[Metrics, Ranking]:
    """Rank a benchmark by a method.

    Args:
        method: ranks the images.
        benchmark: the images and what is right.
        seed: of the intervals.
        progress: called for every image.

    Returns:
        RankingMetrics as JSON, with the method, its paper and `recall_at_1_interval`; and the
        ranking.

    Raises:
        NetvladError: an image is unusable, or the method cannot work on such a set.
    """
    database = ImageSet(benchmark.database)
    queries = ImageSet(benchmark.queries, benchmark.boxes, benchmark.query_order)
    ranking = method.rank(database, queries, ranking_depth(benchmark), progress)
    metrics = RankingMetrics.of(ranking, benchmark, seed).to_json(with_interval=True)
    return {'method': method.name, 'paper': method.paper, **metrics}, ranking


def retrieval_scores(benchmark: Benchmark, indices: Rows) -> dict[str, RetrievalScore]:
    """Average precision of a ranking, over the whole of it.

    If fewer places are ranked than the database has, it is a lower bound.

    Args:
        benchmark: has the ground truth.
        indices: (Q, k), rows of the database, best first; -1 = none.

    Returns:
        Keys 'easy', 'medium' and 'hard' for a revisited benchmark; 'all' for any other.
    """
    if isinstance(benchmark, RevisitedBenchmark):
        return revisited(indices, benchmark.easy, benchmark.hard, benchmark.junk)
    return {'all': score_rankings(indices, benchmark.positives, benchmark.junk)}


def retrieval_json(scores: Mapping[str, RetrievalScore], *, seed: int = 0) -> dict[str, Any]:
    """Scores as metrics.json has them: shares in 0..1, intervals by bootstrap over the queries."""
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
    """Start the peak of memory anew, where the system allows it."""
    try:
        _FORGET.write_text(_RESET_PEAK)
    except OSError:
        return  # then the peak includes what came before: never too small


def peak_bytes() -> int | None:
    """Largest resident size of this process since forget_peak; None if it is unknown."""
    try:
        found = re.search(r'VmHWM:\s*(\d+) kB', _STATUS.read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
