"""`netvlad compare`: methods side by side, on the same images."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.commands.console import INTERRUPTED, check_out_folder, progress_bar, report_missing
from netvlad_ros.commands.options.shared import Model
from netvlad_ros.core.words import one_line

if TYPE_CHECKING:
    from netvlad_ros.offline.comparison.comparison_run import BenchmarkFolder
    from netvlad_ros.offline.comparison.leaderboard import Leaderboard


PICTURE = 'comparison.png'


def compare(
    methods: Annotated[
        str, typer.Argument(help='Names, comma-separated, or paths of bundles (.onnx), or all.')
    ],
    benchmarks: Annotated[
        list[str],
        typer.Argument(
            metavar='BENCHMARK ROOT',
            help='One of those that `netvlad benchmarks` lists, and its folder; then the next.',
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar='DIR',
            help='Write metrics.json, comparison.png, report.html and BENCHMARK/METHOD/, as '
            '`netvlad eval --out` does, here. What is finished there is not computed again.',
        ),
    ] = None,
    model: Model = None,
    training: Annotated[
        Path | None,
        typer.Option(
            metavar='FOLDER',
            help='Learn vocabularies and the like from all images of this folder; left out: from '
            "the benchmark's database.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help='Of all that is drawn by chance.')] = 0,
    threads: Annotated[int, typer.Option(min=0, help='0 = one per core.')] = 0,
) -> None:
    """Rank the databases of benchmarks for their queries by several methods, and print one table.

    Recall is over the queries that have an answer, with an interval of 95 % over them; image
    retrieval is judged by mean average precision too. Each method runs in a process of its own:
    memory is the peak of that process, libraries included. Times are wall-clock, reading files
    left out; what methods share is extracted once, and its time counts for each of them. A method
    that fails says why, and the others go on. seqslam takes the order in which a benchmark lists
    its images for that of time: where it is another, its figures say nothing.
    """
    import tempfile

    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.offline.comparison.comparison_run import (
        ComparisonRun,
        method_label,
        open_benchmark_folders,
    )
    from netvlad_ros.offline.comparison.leaderboard import Leaderboard
    from netvlad_ros.offline.methods.extraction_cache import ExtractionCache
    from netvlad_ros.offline.methods.method import MethodContext
    from netvlad_ros.offline.methods.registry import chosen_methods

    names = chosen_methods(methods)
    check_out_folder(out)
    benchmark_folders = open_benchmark_folders(benchmarks)
    for benchmark_folder in benchmark_folders:
        report_missing(benchmark_folder.benchmark.missing, benchmark_folder.name)
    images = _images(training, benchmark_folders)
    results: list[dict[str, Any]] = []
    try:
        for benchmark_folder in benchmark_folders:
            with tempfile.TemporaryDirectory(prefix='netvlad_compare_') as folder:
                cache = ExtractionCache(Path(folder))
                context = MethodContext(model, seed, threads, images, cache)
                run = ComparisonRun(names, context, out, _say, progress_bar)
                results.extend(run.evaluate(benchmark_folder))
    except KeyboardInterrupt:
        if out is None:
            raise
        _say(f'interrupted; the same command goes on with what is finished in {out}')
        raise typer.Exit(INTERRUPTED) from None
    worked = {metrics['method'] for metrics in results}
    if not worked:
        raise NetvladError('none of the methods worked')
    leaderboard = Leaderboard(
        [benchmark_folder.name for benchmark_folder in benchmark_folders],
        [label for label in map(method_label, names) if label in worked],
        results,
    )
    if out is not None:
        settings = {
            'model': 'the package’s own' if model is None else str(model),
            'training': 'the database of each' if training is None else str(training),
            'seed': seed,
            'threads': threads,
        }
        _write(leaderboard, benchmark_folders, settings, out)
    _print(leaderboard, benchmark_folders)


def _images(
    training: Path | None, benchmark_folders: list[BenchmarkFolder]
) -> tuple[Path, ...] | None:
    """Images to learn from; None = those of each database. Raises NetvladError as fit_images."""
    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.offline.benchmarks.benchmark import fit_images
    from netvlad_ros.offline.files.image_files import image_names

    if training is None:
        return None
    images = tuple(training / name for name in image_names(training))
    if not images:
        raise NetvladError(f'--training: {training} holds no image')
    for benchmark_folder in benchmark_folders:
        fit_images(images, benchmark_folder.benchmark)
    return images


def _write(
    leaderboard: Leaderboard,
    benchmark_folders: list[BenchmarkFolder],
    settings: dict[str, Any],
    out: Path,
) -> None:
    from netvlad_ros.core.files import write_whole
    from netvlad_ros.offline.comparison.comparison_page import comparison_page
    from netvlad_ros.offline.comparison.comparison_plot import draw_comparison
    from netvlad_ros.offline.report.environment import environment
    from netvlad_ros.offline.report.report_folder import report_folder, write_json

    metrics = {
        **settings,
        'benchmarks': {
            benchmark_folder.name: {
                'folder': str(benchmark_folder.root),
                'protocol': benchmark_folder.benchmark.protocol,
                'database': len(benchmark_folder.benchmark.database),
                'queries': len(benchmark_folder.benchmark.queries),
                'answerable': benchmark_folder.answerable,
                'missing': list(benchmark_folder.benchmark.missing),
            }
            for benchmark_folder in benchmark_folders
        },
        'methods': leaderboard.results,
        'mean_recall_at_1': {name: leaderboard.mean_recall(name) for name in leaderboard.methods},
        'beats_ours': leaderboard.as_json(),
        'environment': environment(),
    }
    with report_folder(out) as staged:
        write_json(metrics, staged / 'metrics.json')
        draw_comparison(leaderboard, staged / PICTURE)
        page = comparison_page(leaderboard, benchmark_folders, settings, staged / PICTURE)
        write_whole(staged / 'report.html', page)
        (staged / PICTURE).replace(out / PICTURE)


def _print(leaderboard: Leaderboard, benchmark_folders: list[BenchmarkFolder]) -> None:
    from netvlad_ros.offline.comparison.comparison_table import legend, table

    for benchmark_folder in benchmark_folders:
        benchmark = benchmark_folder.benchmark
        typer.echo(one_line(f'{benchmark_folder.name}: {benchmark.protocol}'))
        typer.echo(
            f'{len(benchmark.database)} places, {len(benchmark.queries)} queries, '
            f'{benchmark_folder.answerable} of them answerable'
        )
    # A file or a pipe takes lines of any length; a terminal gets what it can show.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table(leaderboard, width):
        typer.echo(one_line(line))
    typer.echo(legend(leaderboard))
    for sentence in leaderboard.sentences():
        typer.echo(one_line(sentence))


def _say(sentence: str) -> None:
    typer.echo(one_line(f'netvlad: {sentence}'), err=True)
