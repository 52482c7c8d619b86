"""A model judged on a public benchmark, in the benchmark's own layout and by its protocol."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.registry import benchmark_info
from netvlad_ros.offline.benchmarks.retrieval.registry import RETRIEVAL
from netvlad_ros.offline.evaluation.benchmark_ranking import forget_peak, judge_method
from netvlad_ros.offline.evaluation.ranking_report import benchmark_run, write_ranked_report
from netvlad_ros.offline.mapping.shared_recording import identical_images
from netvlad_ros.offline.methods.method import MethodContext
from netvlad_ros.offline.methods.recipe import GlobalRecipe, RecipeMethod, Vector
from netvlad_ros.offline.metrics.accuracy import RECALL_AT
from netvlad_ros.offline.metrics.intervals import intervals_json, recall_columns
from netvlad_ros.offline.progress import Progress, no_progress
from netvlad_ros.offline.report.evaluated_run import EvaluatedRun
from netvlad_ros.offline.report.similarity_matrix import PooledSimilarity


def evaluate_benchmark(
    name: str,
    root: Path,
    bundle: ModelBundle,
    *,
    pictures: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Rank a benchmark by a model bundle; the answer is plain JSON.

    The metrics are those of `netvlad compare`, with intervals of 95 % over the queries, and beside
    them what was published of NetVLAD [%]. both_sides: queries whose very file is searched in and
    counts; None where the protocol wants that. pictures: a folder that gets all that
    write_ranked_report writes. Raises NetvladError if the benchmark is unknown or its folder lacks
    something.
    """
    info = benchmark_info(name)
    benchmark = info.load(root)
    model = _Remembered(bundle)
    method = RecipeMethod(bundle.metadata.name, str(bundle.path), model, MethodContext())
    forget_peak()
    found, ranking = judge_method(method, benchmark, 0, progress)
    found['model'] = found.pop('paper')
    del found['recall_at_1_interval']  # as one of the intervals of the run
    run = benchmark_run(benchmark, root, ranking, found, {'model': str(bundle.path)})
    wanted = name in RETRIEVAL
    metrics = {
        'benchmark': benchmark.name,
        **found,
        **_intervals(run),
        'published_recall_at_1': info.published_recall_at_1,
        'published_map': info.published_map,
        'database': len(benchmark.database),
        'both_sides': None if wanted else both_sides(benchmark),
        'identical_images': None
        if wanted
        else identical_images([query.similarity for query in run.queries]),
        'missing': list(benchmark.missing),
        'skipped': len(benchmark.missing),
        'provider': bundle.provider,
    }
    if pictures is not None:
        similarity = model.similarity(len(benchmark.database))
        write_ranked_report(replace(run, metrics=metrics, similarity=similarity), pictures)
    return metrics


def both_sides(benchmark: Benchmark) -> int:
    """How many queries are files of the database that count for them."""
    row_of = {os.path.realpath(path): row for row, path in enumerate(benchmark.database)}
    junk = benchmark.junk or (np.empty(0, np.int64),) * len(benchmark.queries)
    found = 0
    for path, ignored in zip(benchmark.queries, junk, strict=True):
        row = row_of.get(os.path.realpath(path))
        found += row is not None and row not in ignored
    return found


def _intervals(run: EvaluatedRun) -> dict[str, Any]:
    right = [() if query.right is None else query.right for query in run.queries]
    ranked = [query.ranked for query in run.queries]
    return intervals_json(recall_columns(ranked, right, RECALL_AT))


class _Remembered(GlobalRecipe):
    """The descriptor of a bundle; it keeps what it described, first the database."""

    def __init__(self, bundle: ModelBundle) -> None:
        self._bundle = bundle
        self._described: list[Vector] = []

    def describe(self, rgb: NDArray[np.uint8]) -> Vector:
        """Describe rgb, uint8 (H, W, 3), by a unit vector, float32 (D,)."""
        self._described.append(self._bundle.describe(rgb))
        return self._described[-1]

    def similarity(self, places: int) -> NDArray[np.float32]:
        """The picture of all cosines of the queries and the first `places` described."""
        queries = self._described[places:]
        pooled = PooledSimilarity(np.array(self._described[:places]), len(queries))
        for descriptor in queries:
            pooled.add(descriptor)
        return pooled.matrix()
