"""Options by which a map gets local features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netvlad_ros.core.features.local_features import (
    DEFAULT_KEYPOINTS,
    DEFAULT_MAX_SIDE_PX,
    DIMS,
    LEAST_MAX_SIDE_PX,
    MODEL_KEYPOINTS,
    MOST_MAX_SIDE_PX,
)
from netvlad_ros.core.model.local_outputs import MAX_KEYPOINTS

if TYPE_CHECKING:
    from netvlad_ros.offline.mapping.feature_choice import FeatureChoice

PANEL = 'Local features'
Features = Annotated[
    str | None,
    typer.Option(
        '--features',
        metavar='model|sift|orb|none|PATH.onnx',
        help='Local features to keep, by which the robot verifies matches: those that the model '
        'itself answers, SIFT, ORB, those of a feature bundle, or none, the default without '
        '--landmarks.',
        rich_help_panel=PANEL,
    ),
]
WithLandmarks = Annotated[
    bool,
    typer.Option(
        '--landmarks',
        help='Triangulate the features, so that the robot gets metric poses. Left out --features: '
        "the model's own where it answers some, else SIFT. Needs the calibration of the camera.",
        rich_help_panel=PANEL,
    ),
]
MaxKeypoints = Annotated[
    int | None,
    typer.Option(
        '--max-keypoints',
        min=1,
        max=MAX_KEYPOINTS,
        help='Features that an image keeps at most, the strongest; left out: '
        f"{DEFAULT_KEYPOINTS}, or {MODEL_KEYPOINTS} of the model's own.",
        rich_help_panel=PANEL,
    ),
]
MaxSide = Annotated[
    int | None,
    typer.Option(
        '--max-side',
        min=LEAST_MAX_SIDE_PX,
        max=MOST_MAX_SIDE_PX,
        help='SIFT, ORB and features of a bundle are sought in the image shrunk to this longer '
        f'side, in px; left out: {DEFAULT_MAX_SIDE_PX}, which takes two thirds of the time of 640.',
        rich_help_panel=PANEL,
    ),
]


def chosen_features(
    asked: str | None, landmarks: bool, max_keypoints: int | None, max_side_px: int | None
) -> FeatureChoice:
    """The features that --features asks for. Raises NetvladError."""
    from netvlad_ros.core.features.feature_bundle import read_feature_metadata
    from netvlad_ros.offline.mapping.feature_choice import FeatureChoice

    kind = asked or ('default' if landmarks else 'none')
    if kind == 'none' and landmarks:
        raise typer.BadParameter('--landmarks needs features; leave out --features none')
    path = None
    if asked is not None and asked not in ('none', 'model', *DIMS):
        path, kind = Path(asked), 'onnx'
        if path.suffix != '.onnx':
            raise typer.BadParameter(
                f'--features {asked} is none of model, sift, orb, none, PATH.onnx'
            )
        read_feature_metadata(path)  # a wrong file is refused before the drive is opened
    return FeatureChoice(kind, max_keypoints, max_side_px, path)
