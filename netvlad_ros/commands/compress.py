"""`netvlad compress`: recall against bytes per place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from netvlad_ros.commands.console import check_out_folder, progress_bars, report_missing
from netvlad_ros.commands.options.shared import AsJson, Model
from netvlad_ros.core.words import one_line

if TYPE_CHECKING:
    from netvlad_ros.offline.compression.study import StorageOption


PICTURE = 'recall_over_bytes.png'
WIDTH = 144  # columns: a narrower terminal breaks lines rather than lose metrics


def compress(
    benchmark: Annotated[str, typer.Argument(help='One of those that `netvlad benchmarks` lists.')],
    root: Annotated[Path, typer.Argument(help='Its folder.')],
    out: Annotated[
        Path | None,
        typer.Option(metavar='DIR', help=f'Write metrics.json, {PICTURE} and report.html here.'),
    ] = None,
    as_json: AsJson = False,
    model: Model = None,
    fit: Annotated[
        Path | None,
        typer.Option(
            metavar='FOLDER',
            help='Learn whitenings and codes from all images of this folder; left out: from the '
            "benchmark's database.",
        ),
    ] = None,
    whitenings: Annotated[
        str | None, typer.Option(help='Only these, comma-separated; left out: all.')
    ] = None,
    dimensions: Annotated[
        str | None,
        typer.Option(help="Only these, comma-separated; left out: the model's own, 512 ... 32."),
    ] = None,
    codes: Annotated[
        str | None, typer.Option(help='Only these, comma-separated; left out: all.')
    ] = None,
    every: Annotated[
        bool,
        typer.Option('--all', help='Print every whitening, not the best of each size and code.'),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help='Of all that is drawn by chance.')] = 0,
    threads: Annotated[int, typer.Option(min=0, help='0 = one per core.')] = 0,
) -> None:
    """Judge how small one model's descriptors can be made, and print one table.

    Images are described once; every whitening (as-given, random rotation, PCA, PCA whitening, PCA
    turned at random) at every number of dimensions is stored in every code (float32, float16, int8,
    int4, pq8 ... pq64 = product quantisers of so many bytes, fewer where images are few, rabitq =
    a bit a dimension and two numbers, binary) and searched with whole queries, binary ones with
    bits. Shared are codebooks and matrices, once for all places. What was fitted on the database
    itself knows the very places that it codes: such rows flatter, and --fit is the honest way.
    Recall is over the queries that have an answer, with intervals of 95 %; * = nothing
    of as few bytes finds more. The best of many is a little lucky: look at the intervals. They
    leave out how the random rotations and codebooks fell, which --seed shows.
    """
    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.core.files import write_whole
    from netvlad_ros.offline.benchmarks.benchmark import count_database_images, fit_images
    from netvlad_ros.offline.benchmarks.registry import benchmark_info
    from netvlad_ros.offline.compression.benchmark_descriptors import describe_benchmark
    from netvlad_ros.offline.compression.plot import draw
    from netvlad_ros.offline.compression.projections import WHITENINGS
    from netvlad_ros.offline.compression.quantization import QUANTIZATIONS
    from netvlad_ros.offline.compression.report import best_of_each, compression_page
    from netvlad_ros.offline.compression.study import Grid, study
    from netvlad_ros.offline.files.image_files import image_names
    from netvlad_ros.offline.methods.method import MethodContext
    from netvlad_ros.offline.report.report_folder import report_folder, write_json

    info = benchmark_info(benchmark)
    check_out_folder(out)
    if fit is not None and not fit.is_dir():
        raise NetvladError(f'--fit: {fit} is no folder')
    grid = Grid(
        _words(whitenings) or WHITENINGS, _sizes(dimensions), _words(codes) or QUANTIZATIONS
    )
    loaded = info.load(root)
    images = None
    if fit is not None:
        images = fit_images([fit / name for name in image_names(fit)], loaded)
    context = MethodContext(model, seed, threads, images)
    report_missing(loaded.missing, loaded.name)
    with progress_bars('describe', 'compress') as (describing, trying):
        descriptors = describe_benchmark(loaded, context, describing)
        result = study(descriptors, loaded, grid, context, trying)
    warning = None
    known = len(loaded.database) if images is None else count_database_images(images, loaded)
    if known and any(option.fitted for option in result.options):
        warning = (
            f'PCA, ranges and codebooks were fitted on {known} images of the database itself, '
            'which flatters them; --fit FOLDER fits them on other images'
        )
    metrics = {
        'benchmark': loaded.name,
        'protocol': loaded.protocol,
        'database': len(loaded.database),
        'queries': len(loaded.queries),
        'answerable': sum(len(rows) > 0 for rows in loaded.positives),
        'missing': list(loaded.missing),
        'model': None if model is None else str(model),
        'fitted_on': 'database' if fit is None else str(fit),
        'fitted_images': len(descriptors.fit),
        'warning': warning,
        'seed': seed,
        'exact_recall_at_1': result.exact,
        'points': [option.to_json() for option in result.options],
        'left_out': result.left_out,
    }
    source = 'the database itself' if fit is None else str(fit)
    if out is not None:
        with report_folder(out) as staged:
            write_json(metrics, staged / 'metrics.json')
            title = f'{loaded.name}: {metrics["answerable"]} queries; fitted on {source}'
            draw(result, one_line(title), staged / PICTURE)
            page = compression_page(result, metrics, (staged / PICTURE).read_bytes())
            write_whole(staged / 'report.html', page)
            (staged / PICTURE).replace(out / PICTURE)
    if warning is not None:
        typer.echo(f'netvlad: warning: {warning}', err=True)
    if as_json:
        typer.echo(json.dumps(metrics, indent=2, allow_nan=False))
        return
    typer.echo(one_line(f'{loaded.name}: {loaded.protocol}'))
    typer.echo(
        f'{len(loaded.database)} places, {len(loaded.queries)} queries, '
        f'{metrics["answerable"]} of them answerable'
    )
    typer.echo(one_line(f'fitted on the {len(descriptors.fit)} images of {source}'))
    _print(result.options if every else best_of_each(result.options))
    for reason in dict.fromkeys(result.left_out.values()):
        count = list(result.left_out.values()).count(reason)
        typer.echo(
            one_line(f'left out: {count} of {len(result.left_out) + len(result.options)}: {reason}')
        )


def _print(options: list[StorageOption] | tuple[StorageOption, ...]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from netvlad_ros.offline.compression.report import HEADER, NUMBERS, cells

    table = Table(box=SIMPLE_HEAD)
    for head in HEADER:
        side: Literal['left', 'right'] = 'right' if head in NUMBERS else 'left'
        table.add_column(head, justify=side, no_wrap=True)
    for option in options:
        table.add_row(*cells(option))
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, WIDTH)
    console.print(table)


def _words(text: str | None) -> tuple[str, ...]:
    words = () if text is None else tuple(word.strip() for word in text.split(','))
    return tuple(dict.fromkeys(words))


def _sizes(text: str | None) -> tuple[int, ...] | None:
    from netvlad_ros.core.errors import NetvladError

    words = _words(text)
    if not all(word.isdecimal() and len(word) < 7 for word in words):
        raise NetvladError(f'--dimensions "{text}": write whole numbers, as in 256,128')
    return tuple(map(int, words)) or None
