"""`netvlad calibrate`: fits a map's calibration on a drive with known poses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.commands.console import progress_bar, report_skips
from netvlad_ros.commands.options.features import FeatureModel, map_extractor
from netvlad_ros.commands.options.shared import (
    AsJson,
    Device,
    DriveOptions,
    Model,
    Selection,
    Source,
    with_drive_options,
)

if TYPE_CHECKING:
    from netvlad_ros.core.model.metadata import SimilarityCalibration
    from netvlad_ros.core.place_map.calibration import MapCalibration
    from netvlad_ros.offline.mapping.calibration_fit import CalibrationSamples


@with_drive_options()
def calibrate(
    source: Source,
    map_folder: Annotated[Path, typer.Option('--map', metavar='DIR', help='The map.')],
    model: Model = None,
    feature_model: FeatureModel = None,
    selection: Selection = None,
    device: Device = 'auto',
    as_json: AsJson = False,
    *,
    drive_options: DriveOptions,
) -> None:
    """Fit, on another drive of the mapped area, how far the map's answers can be trusted.

    What is fitted: the probability that a match is right, from its similarity and inliers; and for
    each way to a pose how large its covariance must be for 95 % of the errors to lie inside. It is
    stored in the map, in map.yaml, in place of what a calibration before gave. What is printed of
    the fit was judged on images that it did not see: of four blocks, at least 20 images each, the
    even ones are fitted, the odd ones judge; what is stored is fitted to all.
    """
    from dataclasses import replace
    from datetime import datetime, timezone

    from netvlad_ros.core.model.bundle import ModelBundle
    from netvlad_ros.core.place_map.calibration import MAX_TEXT
    from netvlad_ros.core.place_map.storage import load_map, store_calibration
    from netvlad_ros.offline.bundles.default_model import default_model
    from netvlad_ros.offline.mapping.calibration_fit import fit_map_calibration
    from netvlad_ros.offline.mapping.calibration_samples import calibration_samples
    from netvlad_ros.offline.progress import Skip

    bundle = ModelBundle.load(model or default_model(), device=device)
    place_map = load_map(map_folder)
    extractor = map_extractor(place_map, feature_model, device)
    drive = drive_options.open(source)
    skipped: list[Skip] = []
    with progress_bar('localizing') as progress:
        samples = calibration_samples(
            place_map,
            bundle,
            drive,
            extractor=extractor,
            selection=selection or slice(None),
            skipped=skipped,
            progress=progress,
        )
    report_skips(drive, skipped)
    of_model = bundle.metadata.calibration
    assert of_model is not None  # or there would be no localizer
    calibration = replace(
        fit_map_calibration(samples, of_model, place_map.own_calibration),
        source=drive.name[:MAX_TEXT],
        created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
    )
    facts = _facts(samples, calibration, of_model, place_map.own_calibration)
    store_calibration(place_map, calibration)
    if as_json:
        typer.echo(json.dumps(facts, indent=2, allow_nan=False))
    else:
        _print(facts)


def _facts(
    samples: CalibrationSamples,
    calibration: MapCalibration,
    of_model: SimilarityCalibration,
    prior: MapCalibration | None,
) -> dict[str, Any]:
    from dataclasses import asdict

    import numpy as np

    from netvlad_ros.core.localizer_config import LocalizerConfig
    from netvlad_ros.core.place_map.calibration import MapCalibration
    from netvlad_ros.offline.mapping.calibration_fit import (
        MIN_ESTIMATES,
        calibration_quality,
        even_blocks,
        fit_map_calibration,
        likely_right,
    )

    accept = LocalizerConfig().accept_probability
    seen = even_blocks(len(samples))
    held_out_samples = samples[~seen]
    estimates = {
        method: int(
            (likely_right(samples, calibration, of_model) & (samples.method == method)).sum()
        )
        for method in calibration.scale
    }
    return {
        'images': len(samples),
        'right': int(samples.right.sum()),
        'held_out': {
            'images': len(held_out_samples),
            'before': asdict(
                calibration_quality(held_out_samples, prior or MapCalibration(), of_model, accept)
            ),
            'after': asdict(
                calibration_quality(
                    held_out_samples,
                    fit_map_calibration(samples[seen], of_model, prior),
                    of_model,
                    accept,
                )
            ),
        },
        'similarity': {'midpoint': calibration.midpoint, 'slope': calibration.slope},
        'inliers': {
            'midpoint': float(np.expm1(calibration.inlier_midpoint)),
            'slope': calibration.inlier_slope,
        },
        'methods': {
            method: {
                'estimates': count,
                'fitted': count >= MIN_ESTIMATES,
                'sigma_m': calibration.sigma_m[method],
                'sigma_deg': calibration.sigma_deg[method],
                'scale': calibration.scale[method],
            }
            for method, count in estimates.items()
        },
    }


def _print(facts: dict[str, Any]) -> None:
    typer.echo(f'images:      {facts["images"]}, {facts["right"]} of them at the right place')
    held_out = facts['held_out']
    typer.echo(f'held out:    {held_out["images"]}')
    for name in ('before', 'after'):
        found = held_out[name]
        typer.echo(
            f'  {name + ":":<10} calibration error {_number(found["expected_error"])}, of '
            f'{found["accepted"]} accepted {_number(found["share_in_95"])} inside the 95 % bound'
        )
    for name in ('similarity', 'inliers'):
        midpoint, slope = facts[name]['midpoint'], facts[name]['slope']
        typer.echo(f'{name + ":":<12} midpoint {midpoint:.3g}, slope {slope:.3g}')
    for method, found in facts['methods'].items():
        line = (
            f'{found["estimates"]} estimates, floor {found["sigma_m"]:.3g} m and '
            f'{found["sigma_deg"]:.3g} deg, covariance times {found["scale"]:.3g}'
            if found['fitted']
            else f'{found["estimates"]} estimates are too few; the defaults stay'
        )
        typer.echo(f'{method + ":":<16} {line}')


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.3f}'
