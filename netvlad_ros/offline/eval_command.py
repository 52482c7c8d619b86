"""`netvlad eval`: a map judged by another drive, descriptors by pairs or a public benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from netvlad_ros.offline.command_options import (
    AllowTruncated,
    BaseFrame,
    CameraFileOption,
    CameraFrame,
    CameraInfoTopic,
    Device,
    ImageTopic,
    MapFrame,
    Model,
    PoseIsCamera,
    PoseTolerance,
    PoseTopic,
    Selection,
    TBaseCam,
    not_negative,
    one_line,
    parse_slice,
    progress_bar,
    report_skips,
)
from netvlad_ros.offline.evaluation_report import report

PAIRS_PANEL = 'Pairs'


def evaluate(
    source: Annotated[
        Path | None,
        typer.Argument(
            help='With --map: the drive to localize, of any kind. With --benchmark: its folder.'
        ),
    ] = None,
    map_folder: Annotated[
        Path | None, typer.Option('--map', metavar='DIR', help='The map to localize on.')
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar='FOLDER',
            help='Judge descriptors on a folder with pairs.csv (query,db) instead of a map.',
            rich_help_panel=PAIRS_PANEL,
        ),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar='NAME',
            help='Judge descriptors on a public benchmark, one of those that `netvlad benchmarks` '
            'lists.',
        ),
    ] = None,
    model: Model = None,
    json_file: Annotated[
        Path | None,
        typer.Option('--json', metavar='F', help='Write the result here; - = stdout.'),
    ] = None,
    selection: Selection = None,
    radius: Annotated[
        float,
        typer.Option(callback=not_negative, help='A place within so many metres is right.'),
    ] = 1.0,
    angle: Annotated[
        float | None,
        typer.Option(
            callback=not_negative,
            help='... and turned by at most so many degrees; left out: any rotation is right.',
        ),
    ] = None,
    queries: Annotated[
        slice | None,
        typer.Option(
            parser=parse_slice,
            metavar='A:B:C',
            help='Of the query column, keep the images in this slice of the sorted list of all '
            'images in the folder.',
            rich_help_panel=PAIRS_PANEL,
        ),
    ] = None,
    database: Annotated[
        slice | None,
        typer.Option(
            parser=parse_slice,
            metavar='A:B:C',
            help='Search in this slice of the sorted list of all images; left out: in the images '
            'of the db column.',
            rich_help_panel=PAIRS_PANEL,
        ),
    ] = None,
    decide: Annotated[
        bool,
        typer.Option(
            '--decide',
            help='Also accept or refuse, with SIFT features, on a temporary map of the database: '
            'its images are taken to stand a metre apart, the queries to come every half second.',
            rich_help_panel=PAIRS_PANEL,
        ),
    ] = False,
    unmapped: Annotated[
        bool,
        typer.Option(
            '--unmapped',
            help='The drive (or any folder of images) shows nothing of the map: every acceptance '
            'is wrong.',
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar='DIR',
            help='Write metrics.json, matches.csv, pictures and one page, report.html, into this '
            'folder.',
        ),
    ] = None,
    verification: Annotated[
        bool, typer.Option('--verification/--no-verification', help='Compare local features too.')
    ] = True,
    belief: Annotated[
        bool, typer.Option('--belief/--no-belief', help='Let images of a sequence add up.')
    ] = True,
    compare: Annotated[
        bool,
        typer.Option('--compare', help='With --map: compare verification and belief, on and off.'),
    ] = False,
    accept_probability: Annotated[
        float | None,
        typer.Option(help='Least probability to be accepted; left out: as the robot does.'),
    ] = None,
    camera_file: CameraFileOption = None,
    camera_info_topic: CameraInfoTopic = None,
    device: Device = 'auto',
    image_topic: ImageTopic = None,
    pose_topic: PoseTopic = None,
    pose_tolerance: PoseTolerance = 0.25,
    map_frame: MapFrame = None,
    base_frame: BaseFrame = None,
    camera_frame: CameraFrame = None,
    T_base_cam: TBaseCam = None,
    pose_is_camera: PoseIsCamera = False,
    allow_truncated: AllowTruncated = False,
) -> None:
    """Judge a map by another drive (--map DIR SOURCE), or descriptors alone.

    Descriptors: by pairs (--pairs FOLDER) or a public benchmark (--benchmark NAME SOURCE).

    A map is judged with the robot's own Localizer: every image alone, which is comparable to
    papers, and as a `sequence`, which is what the robot does. Descriptors are judged by ranking
    alone; with --decide also by what would be accepted.

    `recall` counts answerable queries: those that have a right place in the map; `recall_all`
    counts all. The pose errors are those of accepted priors; an accepted one outside radius or
    angle counts as `accepted_wrong`. Precision, recall over the acceptance threshold and
    `reliability` count a pose as right within the localizer's own place radius.
    """
    if sum(way is not None for way in (map_folder, pairs, benchmark)) != 1:
        raise typer.BadParameter(
            'give either --map DIR and a drive, or --pairs FOLDER, or --benchmark NAME and its '
            'folder'
        )
    if map_folder is not None and source is None:
        raise typer.BadParameter('--map needs a drive to localize on it')
    if benchmark is not None and source is None:
        raise typer.BadParameter('--benchmark needs the folder that it lies in')
    if benchmark is not None and (selection is not None or unmapped or camera_file is not None):
        raise typer.BadParameter('--slice, --unmapped and --camera belong to --map')
    if pairs is None and (queries is not None or database is not None or decide):
        raise typer.BadParameter('--queries, --database and --decide belong to --pairs')
    if pairs is not None and (source is not None or selection is not None):
        raise typer.BadParameter('--pairs takes no drive and no --slice; use --queries, --database')
    if pairs is not None and (unmapped or camera_file is not None):
        raise typer.BadParameter('--unmapped and --camera belong to --map')
    if compare and (map_folder is None or unmapped):
        raise typer.BadParameter('--compare belongs to --map and a drive of the mapped area')
    if (decide or compare) and not (verification and belief):
        option = '--decide' if decide else '--compare'
        raise typer.BadParameter(f'{option} switches verification and belief on and off by itself')
    if json_file is not None and str(json_file) != '-' and not json_file.absolute().parent.is_dir():
        raise typer.BadParameter(f'--json: the folder of {json_file} does not exist')
    if accept_probability is not None and not 0.5 <= accept_probability <= 1.0:
        raise typer.BadParameter('--accept-probability lies in 0.5..1')

    from netvlad_ros.core.descriptor import ModelBundle
    from netvlad_ros.core.localizer_config import LocalizerConfig
    from netvlad_ros.core.place_map import PlaceMap
    from netvlad_ros.offline.answer_judgement import RECALL_AT
    from netvlad_ros.offline.benchmark_evaluation import evaluate_benchmark
    from netvlad_ros.offline.decided_pairs import DecidedPair, decide_pairs
    from netvlad_ros.offline.default_model import default_model
    from netvlad_ros.offline.evaluation import evaluate_map, evaluate_unmapped
    from netvlad_ros.offline.open_traverse import open_traverse
    from netvlad_ros.offline.pairs_evaluation import rank_pairs
    from netvlad_ros.offline.traverse import Skip, skip_sentences

    config = LocalizerConfig(top_k=max(RECALL_AT), verification=verification, belief=belief)
    if accept_probability is not None:
        config = replace(config, accept_probability=accept_probability)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    if benchmark is not None and source is not None:
        with progress_bar('ranking') as progress:
            result = evaluate_benchmark(benchmark, source, model, pictures=out, progress=progress)
        report(result, json_file)
        return
    bundle = ModelBundle.load(model or default_model(), device=device)
    if pairs is not None:
        skipped: list[Skip] = []
        decided: dict[str, DecidedPair] = {}
        with progress_bar('describing images') as progress:
            ranked = rank_pairs(
                pairs, bundle, skipped, queries=queries, database=database, progress=progress
            )
        result = ranked.figures
        if decide:
            with progress_bar('localizing') as progress:
                result |= decide_pairs(
                    pairs,
                    bundle,
                    queries=queries,
                    database=database,
                    config=config,
                    pictures=out,
                    decided=decided,
                    progress=progress,
                )
        if out is not None:
            from netvlad_ros.offline.report.pairs_run import report_pairs

            slices = {'queries': queries, 'database': database, 'model': bundle.metadata.name}
            report_pairs(pairs, ranked, decided, result, slices, out)
        for sentence in skip_sentences(skipped):
            typer.echo(one_line(f'netvlad: {sentence}'), err=True)
    elif map_folder is not None and source is not None:
        place_map = PlaceMap.load(map_folder)
        traverse = open_traverse(
            source,
            without_poses=unmapped,
            image_topic=image_topic,
            pose_topic=pose_topic,
            pose_tolerance_s=pose_tolerance,
            map_frame=map_frame,
            base_frame=base_frame,
            camera_frame=camera_frame,
            T_base_cam=T_base_cam,
            pose_is_camera=pose_is_camera,
            allow_truncated=allow_truncated,
            camera_file=camera_file,
            camera_info_topic=camera_info_topic,
        )
        with progress_bar('localizing') as progress:
            if unmapped:
                result = evaluate_unmapped(
                    place_map,
                    bundle,
                    traverse,
                    selection=selection or slice(None),
                    config=config,
                    pictures=out,
                    progress=progress,
                )
            else:
                result = evaluate_map(
                    place_map,
                    bundle,
                    traverse,
                    selection=selection or slice(None),
                    radius_m=radius,
                    angle_deg=angle,
                    config=config,
                    compare=compare,
                    pictures=out,
                    progress=progress,
                )
        report_skips(traverse)
    report(result, json_file)
