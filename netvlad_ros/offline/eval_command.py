"""`netvlad eval`: a map judged by another drive, or descriptors judged by pairs of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from netvlad_ros.offline.command_options import (
    AllowTruncated,
    BaseFrame,
    CameraFrame,
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

PAIRS_PANEL = 'Pairs'


def evaluate(
    source: Annotated[
        Path | None, typer.Argument(help='With --map: the drive to localize, of any kind.')
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
    """Judge a map by another drive (--map DIR SOURCE), or descriptors by pairs (--pairs FOLDER).

    A map is judged with the robot's own Localizer, descriptors by ranking alone.

    `recall` counts answerable queries: those that have a right place in the map; `recall_all`
    counts all. The pose errors are those of accepted priors; an accepted one outside radius or
    angle counts as `accepted_wrong`. With --pairs nothing is accepted and no pose is known: null.
    """
    if (map_folder is None) == (pairs is None):
        raise typer.BadParameter('give either --map DIR and a drive, or --pairs FOLDER')
    if map_folder is not None and source is None:
        raise typer.BadParameter('--map needs a drive to localize on it')
    if map_folder is not None and (queries is not None or database is not None):
        raise typer.BadParameter('--queries and --database belong to --pairs; use --slice')
    if pairs is not None and (source is not None or selection is not None):
        raise typer.BadParameter('--pairs takes no drive and no --slice; use --queries, --database')
    if json_file is not None and str(json_file) != '-' and not json_file.absolute().parent.is_dir():
        raise typer.BadParameter(f'--json: the folder of {json_file} does not exist')

    from netvlad_ros.core.descriptor import ModelBundle
    from netvlad_ros.core.place_map import PlaceMap
    from netvlad_ros.offline.default_model import default_model
    from netvlad_ros.offline.evaluation import evaluate_map
    from netvlad_ros.offline.open_traverse import open_traverse
    from netvlad_ros.offline.pairs_evaluation import evaluate_pairs
    from netvlad_ros.offline.traverse import Skip, skip_sentences

    bundle = ModelBundle.load(model or default_model(), device=device)
    if pairs is not None:
        skipped: list[Skip] = []
        with progress_bar('describing images') as progress:
            result = evaluate_pairs(
                pairs, bundle, skipped, queries=queries, database=database, progress=progress
            )
        for sentence in skip_sentences(skipped):
            typer.echo(one_line(f'netvlad: {sentence}'), err=True)
    elif map_folder is not None and source is not None:
        place_map = PlaceMap.load(map_folder)
        traverse = open_traverse(
            source,
            image_topic=image_topic,
            pose_topic=pose_topic,
            pose_tolerance_s=pose_tolerance,
            map_frame=map_frame,
            base_frame=base_frame,
            camera_frame=camera_frame,
            T_base_cam=T_base_cam,
            pose_is_camera=pose_is_camera,
            allow_truncated=allow_truncated,
        )
        with progress_bar('localizing') as progress:
            result = evaluate_map(
                place_map,
                bundle,
                traverse,
                selection=selection or slice(None),
                radius_m=radius,
                angle_deg=angle,
                progress=progress,
            )
        report_skips(traverse)
    _report(result, json_file)


def _report(result: dict[str, Any], json_file: Path | None) -> None:
    text = json.dumps(result, indent=2, allow_nan=False)
    if json_file is not None and str(json_file) == '-':
        typer.echo(text)
        return
    if json_file is not None:
        json_file.write_text(text + '\n', encoding='utf-8')
    for name, value in result.items():
        if isinstance(value, dict):
            value = '  '.join(f'{key}: {_number(number)}' for key, number in value.items())
        typer.echo(f'{name + ":":<16}{_number(value)}')


def _number(value: Any) -> str:
    if value is None:
        return '-'
    return f'{value:.4g}' if isinstance(value, float) else str(value)
