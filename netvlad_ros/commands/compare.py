"""`netvlad compare`: methods side by side, on the same images."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.commands.console import INTERRUPTED, check_out_folder, progress_bar, report_missing
from netvlad_ros.commands.options.shared import Model
from netvlad_ros.offline.report.safe_text import one_line

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
    its images for that of time: where it is another, its metrics say nothing.
    """
    import tempfile

    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.offline.comparison.comparison_run import (
        ComparisonRun,
        method_label,
        open_subjects,
    )
    from netvlad_ros.offline.comparison.leaderboard import Leaderboard
    from netvlad_ros.offline.methods.extraction_cache import ExtractionCache
    from netvlad_ros.offline.methods.method import MethodContext
    from netvlad_ros.offline.methods.registry import chosen_methods

    names = chosen_methods(methods)
    check_out_folder(out)
    subjects = open_subjects(benchmarks)
    for subject in subjects:
        report_missing(subject.benchmark.missing, subject.name)
    images = _images(training, subjects)
    results: list[dict[str, Any]] = []
    try:
        for subject in subjects:
            with tempfile.TemporaryDirectory(prefix='netvlad_compare_') as folder:
                cache = ExtractionCache(Path(folder))
                context = MethodContext(model, seed, threads, images, cache)
                run = ComparisonRun(names, context, out, _say, progress_bar)
                results.extend(run.judge(subject))
    except KeyboardInterrupt:
        if out is None:
            raise
        _say(f'interrupted; the same command goes on with what is finished in {out}')
        raise typer.Exit(INTERRUPTED) from None
    worked = {metrics['method'] for metrics in results}
    if not worked:
        raise NetvladError('none of the methods worked')
    standings = Leaderboard(
        [subject.name for subject in subjects],
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
        _write(standings, subjects, settings, out)
    _print(standings, subjects)


def _images(training: Path | None, subjects: list[BenchmarkFolder]) -> tuple[Path, ...] | None:
    """Images to learn from; None = those of each database. Raises NetvladError as fit_images."""
    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.offline.benchmarks.benchmark import fit_images
    from netvlad_ros.offline.files.image_files import image_names

    if training is None:
        return None
    images = tuple(training / name for name in image_names(training))
    if not images:
        raise NetvladError(f'--training: {training} holds no image')
    for subject in subjects:
        fit_images(images, subject.benchmark)
    return images


def _write(
    standings: Leaderboard, subjects: list[BenchmarkFolder], settings: dict[str, Any], out: Path
) -> None:
    from netvlad_ros.core.files import write_whole
    from netvlad_ros.offline.comparison.comparison_page import comparison_page
    from netvlad_ros.offline.comparison.comparison_plot import draw_comparison
    from netvlad_ros.offline.report.environment import environment
    from netvlad_ros.offline.report.report_folder import report_folder, write_json

    metrics = {
        **settings,
        'benchmarks': {
            subject.name: {
                'folder': str(subject.root),
                'protocol': subject.benchmark.protocol,
                'database': len(subject.benchmark.database),
                'queries': len(subject.benchmark.queries),
                'answerable': subject.answerable,
                'missing': list(subject.benchmark.missing),
            }
            for subject in subjects
        },
        'methods': standings.results,
        'mean_recall_at_1': {name: standings.mean_recall(name) for name in standings.methods},
        'beats_ours': standings.as_json(),
        'environment': environment(),
    }
    with report_folder(out) as staged:
        write_json(metrics, staged / 'metrics.json')
        draw_comparison(standings, staged / PICTURE)
        page = comparison_page(standings, subjects, settings, staged / PICTURE)
        write_whole(staged / 'report.html', page)
        (staged / PICTURE).replace(out / PICTURE)


def _print(standings: Leaderboard, subjects: list[BenchmarkFolder]) -> None:
    from netvlad_ros.offline.comparison.comparison_table import legend, table

    for subject in subjects:
        typer.echo(one_line(f'{subject.name}: {subject.benchmark.protocol}'))
        typer.echo(
            f'{len(subject.benchmark.database)} places, {len(subject.benchmark.queries)} queries, '
            f'{subject.answerable} of them answerable'
        )
    # A file or a pipe takes lines of any length; a terminal gets what it can show.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table(standings, width):
        typer.echo(one_line(line))
    typer.echo(legend(standings))
    for sentence in standings.sentences():
        typer.echo(one_line(sentence))


def _say(sentence: str) -> None:
    typer.echo(one_line(f'netvlad: {sentence}'), err=True)
