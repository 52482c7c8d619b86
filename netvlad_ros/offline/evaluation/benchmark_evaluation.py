"""A model evaluated on a public benchmark: `netvlad eval --benchmark`."""

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
from netvlad_ros.offline.evaluation.benchmark_ranking import (
    RankingMetrics,
    forget_peak,
    ranking_depth,
)
from netvlad_ros.offline.evaluation.described_benchmark import DescribedBenchmark
from netvlad_ros.offline.evaluation.ranking_report import benchmark_run, write_ranked_report
from netvlad_ros.offline.mapping.shared_recording import identical_images
from netvlad_ros.offline.methods.global_descriptors.geometric_reranking import (
    AnalysedImage,
    ImageAnalyser,
    RerankingIndex,
)
from netvlad_ros.offline.methods.method import ranked as ranked_rows
from netvlad_ros.offline.methods.recipe import Vector
from netvlad_ros.offline.metrics.accuracy import RECALL_AT
from netvlad_ros.offline.metrics.intervals import Intervals, intervals, recall_columns
from netvlad_ros.offline.progress import Progress, no_progress
from netvlad_ros.offline.report.evaluated_run import EvaluatedRun


def evaluate_benchmark(
    name: str,
    root: Path,
    bundle: ModelBundle,
    *,
    reranked: bool = False,
    pictures: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Rank a benchmark by the descriptors of a model.

    Args:
        name: of the benchmark.
        root: its folder.
        bundle: the model.
        reranked: also compare the most similar images by the model's own local features.
        pictures: folder for all that write_ranked_report writes.
        progress: called for every image.

    Returns:
        Plain JSON: the metrics of `netvlad compare`, intervals of 95 % over the queries, and what
        was published of NetVLAD [%]. `both_sides` counts queries whose very file is searched in
        and counts; it is None where the protocol wants that.

    Raises:
        NetvladError: the benchmark is unknown, or its folder lacks something.
    """
    info = benchmark_info(name)
    benchmark = info.load(root)
    forget_peak()
    analyse = ImageAnalyser(bundle) if reranked else None
    analysed: list[AnalysedImage] = []

    def describe(rgb: NDArray[np.uint8]) -> Vector:
        if analyse is None:
            return bundle.describe(rgb)
        analysed.append(analyse(rgb))
        return analysed[-1].descriptor

    described = DescribedBenchmark.of(benchmark, describe, progress)
    ranking = described.rank(ranking_depth(benchmark))
    ranked = RankingMetrics.of(ranking, benchmark)
    again: dict[str, Any] = {}
    if analyse is not None:
        places = len(benchmark.database)
        index = RerankingIndex(analysed[:places], analyse.metric)
        indices, scores = ranked_rows(index.rows(analysed[places:]), ranking_depth(benchmark))
        metrics_again = RankingMetrics.of(
            replace(ranking, indices=indices, scores=scores), benchmark
        ).to_json(with_interval=True)
        again = {
            'recall_reranked': metrics_again['recall'],
            'recall_reranked_at_1_interval': metrics_again['recall_at_1_interval'],
        }
    method = {'method': bundle.metadata.name}
    run = benchmark_run(benchmark, root, ranking, method, {'model': str(bundle.path)})
    is_retrieval = name in RETRIEVAL
    metrics = {
        'benchmark': benchmark.name,
        **method,
        **ranked.to_json(),
        **again,
        'model': str(bundle.path),
        **_intervals(run).to_json(),
        'published_recall_at_1': info.published_recall_at_1,
        'published_map': info.published_map,
        'database': len(benchmark.database),
        'both_sides': None if is_retrieval else both_sides(benchmark),
        'identical_images': None
        if is_retrieval
        else identical_images([query.similarity for query in run.queries]),
        'missing': list(benchmark.missing),
        'skipped': len(benchmark.missing),
        'provider': bundle.provider,
    }
    if pictures is not None:
        run = replace(run, metrics=metrics, similarity=described.similarity())
        write_ranked_report(run, pictures)
    return metrics


def both_sides(benchmark: Benchmark) -> int:
    """Number of queries that are files of the database, and count as such."""
    row_of = {os.path.realpath(path): row for row, path in enumerate(benchmark.database)}
    junk = benchmark.junk or (np.empty(0, np.int64),) * len(benchmark.queries)
    found = 0
    for path, ignored in zip(benchmark.queries, junk, strict=True):
        row = row_of.get(os.path.realpath(path))
        found += row is not None and row not in ignored
    return found


def _intervals(run: EvaluatedRun) -> Intervals:
    right = [() if query.right is None else query.right for query in run.queries]
    ranked = [query.ranked for query in run.queries]
    return intervals(recall_columns(ranked, right, RECALL_AT))
