"""A model judged on a public benchmark, in the benchmark's own layout and by its protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netvlad_ros.offline.benchmarks.registry import benchmark_info
from netvlad_ros.offline.map_builder import Progress
from netvlad_ros.offline.methods.comparison import compare_method
from netvlad_ros.offline.methods.method import MethodContext

METHOD = 'netvlad'  # whatever bundle it is given


def evaluate_benchmark(
    name: str,
    root: Path,
    model: Path | None = None,
    *,
    pictures: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Rank a benchmark by a model bundle (None = the package's own); the answer is plain JSON.

    The figures are those of `netvlad compare`, and beside them what was published of NetVLAD [%].
    pictures: a folder that gets all that write_ranked_report writes. Raises NetvladError if the
    benchmark is unknown or its folder lacks something.
    """
    info = benchmark_info(name)
    benchmark = info.load(root)
    found, ranking = compare_method(METHOD, benchmark, MethodContext(model), progress)
    figures = {
        'benchmark': benchmark.name,
        **found,
        'published_recall_at_1': info.published_recall_at_1,
        'published_map': info.published_map,
        'database': len(benchmark.database),
        'missing': list(benchmark.missing),
        'skipped': len(benchmark.missing),
    }
    if pictures is not None:
        from netvlad_ros.offline.report.ranked_run import benchmark_run, write_ranked_report

        configuration = {'model': 'the package’s own' if model is None else str(model)}
        run = benchmark_run(benchmark, root, ranking, figures, configuration)
        write_ranked_report(run, pictures)
    return figures
