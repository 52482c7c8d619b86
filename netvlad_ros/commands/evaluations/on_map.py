"""`netvlad eval --map DIR SOURCE`: a map, evaluated by a drive of the mapped area."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.commands.console import progress_bar, report_skips
from netvlad_ros.commands.options.eval import EVERY_MODE, MAP_PANEL, ON_A_MAP
from netvlad_ros.commands.options.features import map_extractor
from netvlad_ros.commands.options.shared import DriveOptions, not_negative

if TYPE_CHECKING:
    from netvlad_ros.core.localizer_config import LocalizerConfig
    from netvlad_ros.core.model.bundle import ModelBundle
    from netvlad_ros.offline.progress import Skip

Radius = Annotated[
    float,
    typer.Option(
        callback=not_negative,
        help='A place within so many metres is right.',
        rich_help_panel=MAP_PANEL,
    ),
]
Angle = Annotated[
    float | None,
    typer.Option(
        callback=not_negative,
        help='... and turned by at most so many degrees; left out: any rotation is right.',
        rich_help_panel=MAP_PANEL,
    ),
]
SameRecording = Annotated[
    bool,
    typer.Option(
        '--same-recording',
        help='The drive made the map: judge by those of its images that are no places. Left out, '
        'they are refused if places are among them, and judged if a --slice leaves none.',
        rich_help_panel=MAP_PANEL,
    ),
]
Compare = Annotated[
    bool,
    typer.Option(
        '--compare',
        help='Compare verification and belief, on and off.',
        rich_help_panel=MAP_PANEL,
    ),
]

TAKES = EVERY_MODE | ON_A_MAP | {'radius', 'angle', 'compare', 'same_recording'}


def evaluate_on_map(
    map_folder: Path,
    source: Path,
    drive_options: DriveOptions,
    bundle: ModelBundle,
    config: LocalizerConfig,
    *,
    feature_model: Path | None,
    device: str,
    selection: slice,
    radius: float,
    angle: float | None,
    compare: bool,
    same_recording: bool,
    pictures: Path | None,
) -> dict[str, Any]:
    """Localize the drive on the map, and report what was skipped; returns the metrics as JSON."""
    from netvlad_ros.core.place_map.storage import load_map
    from netvlad_ros.offline.evaluation.drive_evaluation import evaluate_map

    place_map = load_map(map_folder)
    extractor = map_extractor(place_map, feature_model, device)
    drive = drive_options.open(source)
    skipped: list[Skip] = []
    with progress_bar('localizing') as progress:
        metrics = evaluate_map(
            place_map,
            bundle,
            drive,
            selection=selection,
            radius_m=radius,
            angle_deg=angle,
            config=config,
            extractor=extractor,
            compare=compare,
            same_recording=same_recording,
            pictures=pictures,
            skipped=skipped,
            progress=progress,
        )
    report_skips(drive, skipped)
    return metrics
