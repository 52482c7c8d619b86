"""`netvlad eval`: a map judged by another drive, descriptors by pairs or a public benchmark."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import typer

from netvlad_ros.commands.console import check_json_file, progress_bar, report, report_skips
from netvlad_ros.commands.options.eval import (
    AcceptProbability,
    Angle,
    BeliefOverTime,
    BenchmarkName,
    Compare,
    Database,
    Decide,
    JsonFile,
    Judging,
    MapFolder,
    Out,
    Pairs,
    Queries,
    Radius,
    SameRecording,
    Unmapped,
    Verification,
    chosen_way,
    refuse_others,
)
from netvlad_ros.commands.options.shared import (
    Device,
    DriveOptions,
    Model,
    Selection,
    with_drive_options,
)
from netvlad_ros.offline.report.safe_text import one_line


@with_drive_options(camera_first=True)
def evaluate(
    context: typer.Context,
    source: Judging = None,
    map_folder: MapFolder = None,
    pairs: Pairs = None,
    benchmark: BenchmarkName = None,
    model: Model = None,
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
    way = chosen_way(map_folder, pairs, benchmark, unmapped=unmapped, decide=decide)
    refuse_others(context, way)
    if pairs is None and source is None:
        raise typer.BadParameter(f'{way} needs the drive, or the folder, to judge by')
    if compare and not (verification and belief):
        raise typer.BadParameter('--compare switches verification and belief on and off by itself')
    if accept_probability is not None and not 0.5 <= accept_probability <= 1.0:
        raise typer.BadParameter('--accept-probability lies in 0.5..1')
    check_json_file(json_file)

    from netvlad_ros.core.localizer_config import LocalizerConfig
    from netvlad_ros.core.model.bundle import ModelBundle
    from netvlad_ros.core.place_map.storage import load_map
    from netvlad_ros.offline.bundles.default_model import default_model
    from netvlad_ros.offline.evaluation.benchmark_evaluation import evaluate_benchmark
    from netvlad_ros.offline.evaluation.drive_evaluation import evaluate_map, evaluate_unmapped
    from netvlad_ros.offline.evaluation.pairs_evaluation import judge_pairs
    from netvlad_ros.offline.metrics.accuracy import RECALL_AT
    from netvlad_ros.offline.progress import Skip, skip_sentences
    from netvlad_ros.offline.report.report_folder import report_folder

    config = LocalizerConfig(top_k=max(RECALL_AT), verification=verification, belief=belief)
    if accept_probability is not None:
        config = replace(config, accept_probability=accept_probability)
    with report_folder(out) if out is not None else nullcontext() as pictures:
        bundle = ModelBundle.load(model or default_model(), device=device)
        skipped: list[Skip] = []
        if benchmark is not None and source is not None:
            with progress_bar('ranking') as progress:
                result = evaluate_benchmark(
                    benchmark, source, bundle, pictures=pictures, progress=progress
                )
        elif pairs is not None:
            with progress_bar('describing and deciding' if decide else 'describing') as progress:
                result = judge_pairs(
                    pairs,
                    bundle,
                    skipped,
                    queries=queries,
                    database=database,
                    decide=config if decide else None,
                    pictures=pictures,
                    progress=progress,
                )
            for sentence in skip_sentences(skipped):
                typer.echo(one_line(f'netvlad: {sentence}'), err=True)
        elif map_folder is not None and source is not None:
            place_map = load_map(map_folder)
            drive = drive_options.open(source, without_poses=unmapped)
            with progress_bar('localizing') as progress:
                judge = (
                    evaluate_unmapped
                    if unmapped
                    else partial(
                        evaluate_map,
                        radius_m=radius,
                        angle_deg=angle,
                        compare=compare,
                        same_recording=same_recording,
                    )
                )
                result = judge(
                    place_map,
                    bundle,
                    drive,
                    selection=selection or slice(None),
                    config=config,
                    pictures=pictures,
                    skipped=skipped,
                    progress=progress,
                )
            report_skips(drive, skipped)
    report(result, json_file)
