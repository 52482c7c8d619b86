"""`netvlad compare`: methods side by side, on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.offline.command_options import Model, one_line, progress_bar

if TYPE_CHECKING:
    from netvlad_ros.offline.benchmarks.benchmark import Benchmark
    from netvlad_ros.offline.methods.method import MethodContext, Ranking

OURS = 'netvlad'


def compare(
    methods: Annotated[
        str, typer.Argument(help='Names, comma-separated, or paths of bundles (.onnx), or all.')
    ],
    benchmark: Annotated[str, typer.Argument(help='One of those that `netvlad benchmarks` lists.')],
    root: Annotated[Path, typer.Argument(help='Its folder.')],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar='DIR', help='Write metrics.json, comparison.png and the rankings (.npz) here.'
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
    """Rank a benchmark's database for its queries by several methods, and print one table.

    Recall is over the queries that have an answer, with an interval of 95 % over them; image
    retrieval is judged by mean average precision too. Times are wall-clock, reading files
    left out; memory is the peak of the whole process while a method ran. A method that fails says
    why, and the others go on.
    """
    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.offline.benchmarks.registry import benchmark_info
    from netvlad_ros.offline.evaluation_report import write_json
    from netvlad_ros.offline.image_folder import image_names
    from netvlad_ros.offline.methods.comparison_picture import draw_comparison
    from netvlad_ros.offline.methods.method import MethodContext
    from netvlad_ros.offline.methods.registry import chosen_methods

    names = chosen_methods(methods)
    info = benchmark_info(benchmark)
    images = None
    if training is not None:
        images = tuple(training / name for name in image_names(training))
        if not images:
            raise NetvladError(f'--training: {training} holds no image')
    judged = info.load(root)
    if judged.missing:
        typer.echo(one_line(f'netvlad: {len(judged.missing)} images are missing'), err=True)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    context = MethodContext(model, seed, threads, images)
    results = _judge(names, judged, context, out)
    if out is not None:
        figures = {
            'benchmark': judged.name,
            'protocol': judged.protocol,
            'database': len(judged.database),
            'missing': list(judged.missing),
            'seed': seed,
            'training': None if training is None else str(training),
            'methods': results,
        }
        write_json(figures, out / 'metrics.json')
        draw_comparison(results, judged.name, OURS, out / 'comparison.png')
    typer.echo(one_line(f'{judged.name}: {judged.protocol}'))
    answerable = sum(len(rows) > 0 for rows in judged.positives)
    typer.echo(
        f'{len(judged.database)} places, {len(judged.queries)} queries, '
        f'{answerable} of them answerable'
    )
    for line in table(results):
        typer.echo(one_line(line))


def _judge(
    names: list[str], judged: Benchmark, context: MethodContext, out: Path | None
) -> list[dict[str, Any]]:
    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.offline.methods.comparison import compare_method

    results: list[dict[str, Any]] = []
    for name in names:
        try:
            with progress_bar(name) as progress:
                figures, ranking = compare_method(name, judged, context, progress)
        except NetvladError as error:
            if len(names) == 1:
                raise
            typer.echo(one_line(f'netvlad: {name}: {error}'), err=True)
            continue
        results.append(figures)
        if out is not None:
            _write_ranking(ranking, judged, out / f'{figures["method"]}.npz')
    if not results:
        raise NetvladError('none of the methods worked')
    return results


def _write_ranking(ranking: Ranking, judged: Benchmark, path: Path) -> None:
    """Rows, scores and the images they stand for; plain arrays, nothing pickled."""
    import numpy as np

    np.savez_compressed(
        path,
        indices=ranking.indices,
        scores=ranking.scores,
        database=np.array([str(image) for image in judged.database]),
        queries=np.array([str(image) for image in judged.queries]),
    )


def table(results: list[dict[str, Any]]) -> list[str]:
    """Lines of the table, and which methods beat this project's own."""
    parts = list(results[0]['retrieval'])
    heads = [
        'method',
        'R@1',
        '95 %',
        'R@5',
        'R@10',
        *('mAP' if part == 'all' else f'mAP {part}' for part in parts),
    ]
    heads += ['ms/image', 'ms/query', 'fit s', 'bytes/place', 'peak MB', 'paper']
    rows = []
    for figures in results:
        seconds = figures['seconds']
        at_1, *more = figures['recall'].values()
        more += [figures['retrieval'][part]['mean_average_precision'] for part in parts]
        interval = figures['recall_at_1_interval']
        rows.append(
            [
                figures['method'],
                _percent(at_1),
                '-' if interval is None else '-'.join(f'{100 * end:.0f}' for end in interval),
                *map(_percent, more),
                f'{1e3 * seconds["describe_per_image"]:.1f}',
                f'{1e3 * seconds["search_per_query"]:.2f}',
                f'{seconds["fit"]:.1f}',
                f'{figures["bytes_per_place"]:.0f}',
                '-' if figures['peak_mb'] is None else f'{figures["peak_mb"]:.0f}',
                figures['paper'],
            ]
        )
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = []
    for row in [heads, *rows]:
        first, *cells, paper = row
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:-1], strict=True)]
        lines.append('  '.join([first.ljust(widths[0]), *aligned, paper]))
    return lines + _beaten(results)


def _beaten(results: list[dict[str, Any]]) -> list[str]:
    """Which methods are right at once more often than ours, with intervals over the queries."""
    import numpy as np

    from netvlad_ros.core.bootstrap import paired_difference

    ours = next((figures for figures in results if figures['method'] == OURS), None)
    if ours is None:
        return []
    lines = []
    for figures in results:
        theirs, own = (np.array(each['found_at_1'], dtype=np.float64) for each in (figures, ours))
        difference = paired_difference(theirs, own)
        if difference is not None and difference.estimate > 0:
            estimate, low, high = (
                100 * end for end in (difference.estimate, difference.low, difference.high)
            )
            lines.append(
                f'{figures["method"]} beats {OURS} at R@1 by {estimate:.1f} [{low:.1f}, {high:.1f}]'
                + ('' if low > 0 else ', which may be chance')
            )
    return lines or [f'no method beats {OURS} at R@1']


def _percent(share: float | None) -> str:
    return '-' if share is None else f'{100 * share:.1f}'
