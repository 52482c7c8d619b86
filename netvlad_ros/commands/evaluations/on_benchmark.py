"""`netvlad eval --benchmark NAME SOURCE`: a model, evaluated on a public benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.commands.console import progress_bar
from netvlad_ros.commands.options.eval import EVERY_MODE

if TYPE_CHECKING:
    from netvlad_ros.core.model.bundle import ModelBundle

BenchmarkName = Annotated[
    str | None,
    typer.Option(
        metavar='NAME',
        help='Judge descriptors on a public benchmark, one of those that `netvlad benchmarks` '
        'lists.',
    ),
]

TAKES = EVERY_MODE | {'benchmark', 'source', 'rerank'}


def evaluate_on_benchmark(
    benchmark: str, source: Path, bundle: ModelBundle, *, rerank: bool, pictures: Path | None
) -> dict[str, Any]:
    """Rank the benchmark; returns the metrics as JSON."""
    from netvlad_ros.offline.evaluation.benchmark_evaluation import evaluate_benchmark

    with progress_bar('ranking') as progress:
        return evaluate_benchmark(
            benchmark, source, bundle, reranked=rerank, pictures=pictures, progress=progress
        )
