"""`netvlad eval`: which mode is asked for; the modes are in commands/evaluations/."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import typer

from netvlad_ros.commands.console import check_json_file, report
from netvlad_ros.commands.evaluations import on_benchmark, on_map, on_pairs, on_unmapped
from netvlad_ros.commands.evaluations.on_benchmark import BenchmarkName, evaluate_on_benchmark
from netvlad_ros.commands.evaluations.on_map import (
    Angle,
    Compare,
    Radius,
    SameRecording,
    evaluate_on_map,
)
from netvlad_ros.commands.evaluations.on_pairs import (
    Database,
    Decide,
    Pairs,
    Queries,
    Rerank,
    evaluate_on_pairs,
)
from netvlad_ros.commands.evaluations.on_unmapped import Unmapped, evaluate_on_unmapped
from netvlad_ros.commands.options.eval import (
    AcceptProbability,
    BeliefOverTime,
    EvaluatedSource,
    JsonFile,
    MapFolder,
    Out,
    Verification,
    localizer_config,
)
from netvlad_ros.commands.options.features import FeatureModel
from netvlad_ros.commands.options.shared import (
    Device,
    DriveOptions,
    Model,
    Selection,
    with_drive_options,
)

TAKES = {
    '--map': on_map.TAKES,
    '--unmapped': on_unmapped.TAKES,
    '--pairs': on_pairs.TAKES,
    '--pairs with --decide': on_pairs.TAKES_TO_DECIDE,
    '--benchmark': on_benchmark.TAKES,
}


@with_drive_options(camera_first=True)
def evaluate(
    context: typer.Context,
    source: EvaluatedSource = None,
    map_folder: MapFolder = None,
    pairs: Pairs = None,
    benchmark: BenchmarkName = None,
    model: Model = None,
    feature_model: FeatureModel = None,
    json_file: JsonFile = None,
    out: Out = None,
    device: Device = 'auto',
    selection: Selection = None,
    radius: Radius = 1.0,
    angle: Angle = None,
    same_recording: SameRecording = False,
    unmapped: Unmapped = False,
    verification: Verification = True,
    belief: BeliefOverTime = True,
    compare: Compare = False,
    accept_probability: AcceptProbability = None,
    queries: Queries = None,
    database: Database = None,
    decide: Decide = False,
    rerank: Rerank = False,
    *,
    drive_options: DriveOptions,
) -> None:
    """Judge a map by another drive (--map DIR SOURCE), or descriptors alone.

    Descriptors: by pairs (--pairs FOLDER) or a public benchmark (--benchmark NAME SOURCE).

    A map is judged with the robot's own Localizer: every image alone, which is comparable to
    papers, and as a `sequence`, which is what the robot does. Descriptors are judged by ranking
    alone; with --decide also by what would be accepted.

    `recall` counts answerable queries: those that have a right place in the map; `recall_all`
    counts all. The pose errors are those of accepted priors; an accepted one outside radius or
    angle counts as `accepted_wrong`, and `precision` is the share of the others. The curve of
    precision and recall, and `reliability`, count a pose as right within the localizer's own place
    radius.

    Places of the map are refused as queries (see --same-recording). `intervals` say where a figure
    would lie in 95 % of repetitions; images of a drive are drawn in blocks of ten seconds, for
    neighbours succeed and fail together.
    """
    mode = _mode(map_folder, pairs, benchmark, unmapped=unmapped, decide=decide)
    _refuse_options_of_other_modes(context, mode)
    if pairs is None and source is None:
        raise typer.BadParameter(f'{mode} needs the drive, or the folder, to judge by')
    if compare and not (verification and belief):
        raise typer.BadParameter('--compare switches verification and belief on and off by itself')
    if accept_probability is not None and not 0.5 <= accept_probability <= 1.0:
        raise typer.BadParameter('--accept-probability lies in 0.5..1')
    check_json_file(json_file)

    from netvlad_ros.core.model.bundle import ModelBundle
    from netvlad_ros.offline.bundles.default_model import default_model
    from netvlad_ros.offline.report.report_folder import report_folder

    config = localizer_config(verification, belief, accept_probability)
    with report_folder(out) if out is not None else nullcontext() as pictures:
        bundle = ModelBundle.load(model or default_model(), device=device)
        if pairs is not None:
            metrics = evaluate_on_pairs(
                pairs,
                bundle,
                config if decide else None,
                queries=queries,
                database=database,
                rerank=rerank,
                pictures=pictures,
            )
        elif benchmark is not None:
            assert source is not None
            metrics = evaluate_on_benchmark(
                benchmark, source, bundle, rerank=rerank, pictures=pictures
            )
        else:
            assert source is not None and map_folder is not None
            metrics = (
                evaluate_on_unmapped(
                    map_folder,
                    source,
                    drive_options,
                    bundle,
                    config,
                    feature_model=feature_model,
                    device=device,
                    selection=selection or slice(None),
                    pictures=pictures,
                )
                if unmapped
                else evaluate_on_map(
                    map_folder,
                    source,
                    drive_options,
                    bundle,
                    config,
                    feature_model=feature_model,
                    device=device,
                    selection=selection or slice(None),
                    radius=radius,
                    angle=angle,
                    compare=compare,
                    same_recording=same_recording,
                    pictures=pictures,
                )
            )
    report(metrics, json_file)


def _mode(
    map_folder: Path | None,
    pairs: Path | None,
    benchmark: str | None,
    *,
    unmapped: bool,
    decide: bool,
) -> str:
    """A key of TAKES. Raises typer.BadParameter unless exactly one mode is asked for."""
    asked = {'--map': map_folder, '--pairs': pairs, '--benchmark': benchmark}
    modes = [mode for mode, value in asked.items() if value is not None]
    if len(modes) != 1:
        raise typer.BadParameter(
            'give either --map DIR and a drive, or --pairs FOLDER, or --benchmark NAME and its '
            'folder'
        )
    if unmapped and modes == ['--map']:
        return '--unmapped'
    return '--pairs with --decide' if decide and modes == ['--pairs'] else modes[0]


def _refuse_options_of_other_modes(context: typer.Context, mode: str) -> None:
    """Raise typer.BadParameter if the user gave an option that the mode does not take."""
    others = [
        parameter.opts[0] if parameter.opts[0].startswith('-') else parameter.opts[0].upper()
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.name not in TAKES[mode]
        and _is_given(context, parameter.name)
    ]
    if others:
        useless, it = ('mean nothing', 'them') if len(others) > 1 else ('means nothing', 'it')
        raise typer.BadParameter(
            f'{", ".join(others)} {useless} with {mode}; leave {it} out{_advice(others, mode)}'
        )


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name not in ('DEFAULT', 'DEFAULT_MAP')


def _advice(others: list[str], mode: str) -> str:
    if mode.startswith('--pairs') and '--slice' in others:
        return ', and choose images with --queries and --database'
    if mode == '--pairs' and '--accept-probability' in others:
        return ', or decide too (--decide)'
    return ''
