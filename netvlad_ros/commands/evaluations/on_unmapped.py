"""`netvlad eval --map DIR --unmapped SOURCE`: a map, evaluated by a drive of elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.commands.console import progress_bar, report_skips
from netvlad_ros.commands.options.eval import EVERY_MODE, MAP_PANEL, ON_A_MAP
from netvlad_ros.commands.options.features import map_extractor
from netvlad_ros.commands.options.shared import POSE_OPTIONS, DriveOptions

if TYPE_CHECKING:
    from netvlad_ros.core.localizer_config import LocalizerConfig
    from netvlad_ros.core.model.bundle import ModelBundle
    from netvlad_ros.offline.progress import Skip

Unmapped = Annotated[
    bool,
    typer.Option(
        '--unmapped',
        help='The drive (or any folder of images) shows nothing of the map: every acceptance '
        'is wrong.',
        rich_help_panel=MAP_PANEL,
    ),
]

TAKES = (EVERY_MODE | ON_A_MAP | {'unmapped'}) - frozenset(POSE_OPTIONS)


def evaluate_on_unmapped(
    map_folder: Path,
    source: Path,
    drive_options: DriveOptions,
    bundle: ModelBundle,
    config: LocalizerConfig,
    *,
    feature_model: Path | None,
    device: str,
    selection: slice,
    pictures: Path | None,
) -> dict[str, Any]:
    """Localize the drive on the map, and report what was skipped; returns the metrics as JSON."""
    from netvlad_ros.core.place_map.storage import load_map
    from netvlad_ros.offline.evaluation.unmapped_evaluation import evaluate_unmapped

    place_map = load_map(map_folder)
    extractor = map_extractor(place_map, feature_model, device)
    drive = drive_options.open(source, without_poses=True)
    skipped: list[Skip] = []
    with progress_bar('localizing') as progress:
        metrics = evaluate_unmapped(
            place_map,
            bundle,
            drive,
            selection=selection,
            config=config,
            extractor=extractor,
            pictures=pictures,
            skipped=skipped,
            progress=progress,
        )
    report_skips(drive, skipped)
    return metrics
