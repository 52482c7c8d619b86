"""`netvlad map build`, `netvlad map info` and `netvlad map verify`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from netvlad_ros.commands.console import progress_bars, report_skips
from netvlad_ros.commands.options.features import (
    Features,
    MaxKeypoints,
    MaxSide,
    WithLandmarks,
    chosen_features,
)
from netvlad_ros.commands.options.shared import (
    AsJson,
    Device,
    DriveOptions,
    Model,
    Selection,
    Source,
    not_negative,
    with_drive_options,
)

app = typer.Typer(
    help='Build maps from drives, look at them, check them.',
    no_args_is_help=True,
    rich_markup_mode='markdown',
)

MapFolder = Annotated[Path, typer.Argument(help='The folder of a map.', metavar='DIR')]


@app.command()
@with_drive_options()
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
    features: Features = None,
    landmarks: WithLandmarks = False,
    max_keypoints: MaxKeypoints = None,
    max_side: MaxSide = None,
    device: Device = 'auto',
    as_json: AsJson = False,
    *,
    drive_options: DriveOptions,
) -> None:
    """Turn a drive into a map, with the model and the code that run on the robot.

    The map appears whole when all is done, or not at all. Images without a pose and unreadable
    ones are skipped and reported.
    """
    from netvlad_ros.commands.console import print_facts
    from netvlad_ros.core.model.bundle import ModelBundle
    from netvlad_ros.offline.bundles.default_model import default_model
    from netvlad_ros.offline.mapping.map_builder import MapBuilder
    from netvlad_ros.offline.mapping.map_facts import camera_words, map_facts
    from netvlad_ros.offline.progress import Skip, skip_sentences

    builder = MapBuilder(
        out,
        overwrite=overwrite,
        spacing_m=spacing,
        spacing_deg=spacing_angle,
        thumbnails=thumbnails,
        features=chosen_features(features, landmarks, max_keypoints, max_side),
        landmarks=landmarks,
    )
    drive = drive_options.open(source)
    bundle = ModelBundle.load(model or default_model(), device=device)
    skipped: list[Skip] = []
    started = time.perf_counter()
    stages = [
        'describing images',
        *(['matching features', 'localizing keyframes'] if landmarks else []),
    ]
    with progress_bars(*stages) as progress:
        place_map = builder.build(
            drive,
            bundle,
            selection=selection or slice(None),
            skipped=skipped,
            progress=progress[0],
            landmark_progress=progress[min(1, len(progress) - 1)],
            left_out_progress=progress[-1],
        )
    seconds = time.perf_counter() - started
    report_skips(drive, skipped)
    if place_map.camera and place_map.stated_camera:
        typer.echo(
            f'netvlad: {drive.name}: images and poses contradict the calibration '
            f'{camera_words(place_map.stated_camera)}; the map uses '
            f'{camera_words(place_map.camera)}',
            err=True,
        )
    facts = {
        **map_facts(place_map, out),
        'skipped': len(drive.skipped) + len(skipped),
        'skipped_why': skip_sentences([*drive.skipped, *skipped]),
        'provider': bundle.provider,
        'seconds': round(seconds, 3),
        'places_per_s': round(len(place_map) / seconds, 2),
    }
    print_facts(facts, as_json)


@app.command()
def info(directory: MapFolder, as_json: AsJson = False) -> None:
    """Say what a map holds: places, recordings, frames, model."""
    from netvlad_ros.commands.console import print_facts
    from netvlad_ros.core.place_map.storage import load_map
    from netvlad_ros.offline.mapping.map_facts import map_facts

    print_facts(map_facts(load_map(directory), directory), as_json)


@app.command()
def verify(
    directory: MapFolder,
    model: Annotated[
        Path | None, typer.Option('--model', help='Check also that this model built the map.')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every byte of a map: versions, hashes, shapes, unit rows, poses, pictures, features."""
    from netvlad_ros.commands.console import print_facts
    from netvlad_ros.core.errors import NetvladError

    try:
        facts = _verified(directory, model)
    except NetvladError as error:
        if as_json:
            print_facts({'ok': False, 'error': str(error)}, as_json)
        raise
    print_facts({'ok': True, **facts}, as_json)


def _verified(directory: Path, model: Path | None) -> dict[str, Any]:
    from netvlad_ros.core.model.bundle import ModelBundle
    from netvlad_ros.core.place_map.storage import load_map, read_thumbnail
    from netvlad_ros.offline.mapping.map_facts import map_facts

    place_map = load_map(directory)
    for index in range(len(place_map)):
        read_thumbnail(place_map, index)
    if model is not None:
        place_map.check_model(ModelBundle.load(model, device='cpu').metadata, model)
    return map_facts(place_map, directory)
