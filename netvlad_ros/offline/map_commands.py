"""`netvlad map build`, `netvlad map info` and `netvlad map verify`."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.offline.command_options import (
    AllowTruncated,
    AsJson,
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
    Source,
    TBaseCam,
    not_negative,
    progress_bar,
    report_skips,
)

if TYPE_CHECKING:
    from netvlad_ros.core.place_map import PlaceMap

app = typer.Typer(
    help='Build maps from drives, look at them, check them.',
    no_args_is_help=True,
    rich_markup_mode='markdown',
)

MapFolder = Annotated[Path, typer.Argument(help='The folder of a map.', metavar='DIR')]


@app.command()
def build(
    source: Source,
    out: Annotated[Path, typer.Option('--out', help='Folder that the map is written to.')],
    model: Model = None,
    spacing: Annotated[
        float,
        typer.Option(
            callback=not_negative,
            help='A place every so many metres of camera motion; 0 does not count. With both '
            'spacings at 0 every frame becomes a place.',
        ),
    ] = 0.0,
    spacing_angle: Annotated[
        float,
        typer.Option(
            callback=not_negative,
            help='A place also every so many degrees of camera rotation; 0 does not count.',
        ),
    ] = 0.0,
    selection: Selection = None,
    overwrite: Annotated[bool, typer.Option(help='Replace the map that is there.')] = False,
    thumbnails: Annotated[
        bool, typer.Option(help='Keep a small picture of each place, to show matches.')
    ] = True,
    device: Device = 'auto',
    as_json: AsJson = False,
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
    """Turn a drive into a map, with the model and the code that run on the robot.

    The map appears whole when all is done, or not at all. Images without a pose and unreadable
    ones are skipped and reported.
    """
    from netvlad_ros.core.descriptor import ModelBundle
    from netvlad_ros.offline.default_model import default_model
    from netvlad_ros.offline.map_builder import build_map, check_output
    from netvlad_ros.offline.open_traverse import open_traverse
    from netvlad_ros.offline.traverse import skip_sentences

    check_output(out, overwrite=overwrite)
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
    bundle = ModelBundle.load(model or default_model(), device=device)
    started = time.perf_counter()
    with progress_bar('describing images') as progress:
        place_map = build_map(
            traverse,
            bundle,
            out,
            spacing_m=spacing,
            spacing_deg=spacing_angle,
            selection=selection or slice(None),
            thumbnails=thumbnails,
            overwrite=overwrite,
            progress=progress,
        )
    seconds = time.perf_counter() - started
    report_skips(traverse)
    facts = {
        **_facts(place_map, out),
        'skipped': len(traverse.skipped),
        'skipped_why': skip_sentences(traverse.skipped),
        'provider': bundle.provider,
        'seconds': round(seconds, 3),
        'places_per_s': round(len(place_map) / seconds, 2),
    }
    _print(facts, as_json)


@app.command()
def info(directory: MapFolder, as_json: AsJson = False) -> None:
    """Say what a map holds: places, recordings, frames, model."""
    from netvlad_ros.core.place_map import PlaceMap

    _print(_facts(PlaceMap.load(directory), directory), as_json)


@app.command()
def verify(
    directory: MapFolder,
    model: Annotated[
        Path | None, typer.Option('--model', help='Check also that this model built the map.')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every byte of a map: versions, hashes, shapes, unit rows, poses, pictures."""
    from netvlad_ros.core.errors import NetvladError

    try:
        facts = _verified(directory, model)
    except NetvladError as error:
        if as_json:
            _print({'ok': False, 'error': str(error)}, as_json)
        raise
    _print({'ok': True, **facts}, as_json)


def _verified(directory: Path, model: Path | None) -> dict[str, Any]:
    from netvlad_ros.core.descriptor import ModelBundle
    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.core.place_map import PlaceMap

    place_map = PlaceMap.load(directory)
    for index in range(len(place_map)):
        place_map.thumbnail(index)
    if model is not None:
        model_id = ModelBundle.load(model, device='cpu').metadata.model_id
        if model_id != place_map.model_id:
            raise NetvladError(
                f'map {directory} was built with the model {place_map.model_id[:12]}, '
                f'{model} is {model_id[:12]}'
            )
    return _facts(place_map, directory)


def _facts(place_map: PlaceMap, directory: Path) -> dict[str, Any]:
    from netvlad_ros.core.geometry import pose_vector

    T_base_cam = place_map.T_base_cam
    return {
        'map': str(directory),
        'map_id': place_map.map_id,
        'model_id': place_map.model_id,
        'places': len(place_map),
        'dim': int(place_map.descriptors.shape[1]),
        'recordings': dict(Counter(place_map.recordings)),
        'thumbnails': sum(bool(digest) for digest in place_map.thumbnail_hashes),
        'spacing_m': place_map.spacing_m,
        'spacing_deg': place_map.spacing_deg,
        'frame_id': place_map.frame_id,
        'base_frame': place_map.base_frame,
        'camera_frame': place_map.camera_frame,
        'T_base_cam': None if T_base_cam is None else pose_vector(T_base_cam).tolist(),
        'source': place_map.source,
        'created': place_map.created,
    }


def _print(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=2, allow_nan=False))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ', '.join(f'{key} ({count})' for key, count in value.items())
        elif isinstance(value, float):
            value = f'{value:.4g}'
        if value not in (None, []):
            typer.echo(f'{name + ":":<14}{value}')
