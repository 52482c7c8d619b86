"""A ranking as an EvaluatedRun: no decision, no pose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad_ros.offline.metrics.acceptance import precision_recall
from netvlad_ros.offline.metrics.accuracy import RECALL_AT
from netvlad_ros.offline.report.evaluated_run import EvaluatedQuery, EvaluatedRun
from netvlad_ros.offline.report.plots import draw_precision_recall
from netvlad_ros.offline.report.run_report import write_report

if TYPE_CHECKING:
    from netvlad_ros.offline.benchmarks.benchmark import Benchmark
    from netvlad_ros.offline.methods.method import Ranking


def ranked_queries(
    names: Sequence[str],
    ranked: Sequence[Sequence[int]],
    right: Sequence[Sequence[int]],
    scores: Sequence[float | None],
) -> list[EvaluatedQuery]:
    """Queries that were answered by a ranking alone.

    Args:
        names: of the queries.
        ranked: places of each query, best first.
        right: the right places of each query.
        scores: of the best place of each query; None where there is none.
    """
    return [
        EvaluatedQuery(image=name, ranked=places, right=positives, similarity=score)
        for name, places, positives, score in zip(names, ranked, right, scores, strict=True)
    ]


def benchmark_run(
    benchmark: Benchmark,
    root: Path,
    ranking: Ranking,
    metrics: Mapping[str, Any],
    configuration: Mapping[str, Any],
) -> EvaluatedRun:
    """Bring a ranking of a benchmark into the form of a report.

    Places that do not count by the protocol (Benchmark.counted) are taken out before ranks are
    counted. If only the first k places were ranked, queries lose different numbers of them. All
    rankings are then cut to the depth of recall@N.

    Args:
        benchmark: the images and what is right.
        root: its folder.
        ranking: of the benchmark by any method.
        metrics: JSON of the evaluation; `method` is in the title.
        configuration: what was asked for, by name.
    """
    from netvlad_ros.offline.methods.method import ImageSet

    deepest = None if ranking.indices.shape[1] == len(benchmark.database) else max(RECALL_AT)
    ranked, scores = [], []
    for query, (rows, values) in enumerate(zip(ranking.indices, ranking.scores, strict=True)):
        kept = benchmark.counted(query, rows)
        ranked.append(rows[kept][:deepest].tolist())
        scores.append(float(values[kept[0]]) if len(kept) else None)
    queries = ImageSet(benchmark.queries, benchmark.boxes, benchmark.query_order)
    database = ImageSet(benchmark.database)
    return EvaluatedRun(
        title=f'{metrics["method"]} on {benchmark.name}',
        metrics=metrics,
        configuration={'protocol': benchmark.protocol, 'folder': str(root), **configuration},
        queries=ranked_queries(
            _names(benchmark.queries, root),
            ranked,
            [rows.tolist() for rows in benchmark.positives],
            scores,
        ),
        places=_names(benchmark.database, root),
        read_query=lambda row: queries[row],
        read_place=lambda row: database[row],
    )


def write_ranked_report(run: EvaluatedRun, folder: Path) -> None:
    """Write what write_report writes, and precision and recall over the best place's similarity.

    Raises:
        NetvladError: a file cannot be written.
    """
    asked = [query for query in run.queries if query.similarity is not None]
    curve = precision_recall(
        np.array([query.similarity for query in asked], dtype=np.float64),
        np.array([query.first_right_rank == 1 for query in asked], dtype=bool),
        sum(query.answerable is True for query in run.queries),
    )
    draw_precision_recall({'similarity of the best': curve}, folder / 'precision_recall.png')
    title = 'Precision and recall over a threshold of the similarity'
    write_report(replace(run, pictures={'precision_recall.png': title}), folder)


def _names(paths: Sequence[Path], root: Path) -> list[str]:
    return [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in paths]
