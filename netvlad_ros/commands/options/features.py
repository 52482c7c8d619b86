"""Options by which a map gets local features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad_ros.core.features.local_features import (
    DIMS,
    LEAST_MAX_SIDE_PX,
    MOST_MAX_SIDE_PX,
    FeatureSpec,
)
from netvlad_ros.core.model.local_outputs import MAX_KEYPOINTS

PANEL = 'Local features'
Features = Annotated[
    str | None,
    typer.Option(
        '--features',
        metavar='sift|orb|none|PATH.onnx',
        help='Local features to keep, by which the robot verifies matches: SIFT, ORB (faster), '
        'those of a feature bundle, or none, the default without --landmarks.',
        rich_help_panel=PANEL,
    ),
]
WithLandmarks = Annotated[
    bool,
    typer.Option(
        '--landmarks',
        help='Triangulate the features, so that the robot gets metric poses; SIFT, unless '
        '--features says otherwise. Needs the calibration of the camera.',
        rich_help_panel=PANEL,
    ),
]
MaxKeypoints = Annotated[
    int,
    typer.Option(
        '--max-keypoints',
        min=1,
        max=MAX_KEYPOINTS,
        help='Features that an image keeps at most, the strongest.',
        rich_help_panel=PANEL,
    ),
]
MaxSide = Annotated[
    int,
    typer.Option(
        '--max-side',
        min=LEAST_MAX_SIDE_PX,
        max=MOST_MAX_SIDE_PX,
        help='Features are sought in the image shrunk to this longer side, in px: 480 takes '
        'two thirds of the time of 640.',
        rich_help_panel=PANEL,
    ),
]


def chosen_features(
    asked: str | None, landmarks: bool, max_keypoints: int, max_side_px: int
) -> tuple[FeatureSpec | None, Path | None]:
    """Which features --features asks for, and the bundle that finds them. Raises NetvladError."""
    from netvlad_ros.core.features.feature_bundle import read_feature_metadata

    kind = asked or ('sift' if landmarks else 'none')
    if kind == 'none':
        if landmarks:
            raise typer.BadParameter('--landmarks needs features; leave out --features none')
        return None, None
    if kind in DIMS:
        spec = FeatureSpec.built_in(kind, max_keypoints=max_keypoints, max_side_px=max_side_px)
        return spec, None
    path = Path(kind)
    if path.suffix != '.onnx':
        raise typer.BadParameter(f'--features {kind} is none of sift, orb, none, PATH.onnx')
    return read_feature_metadata(path).spec(max_keypoints, max_side_px), path
