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
    from netvlad_ros.core.features.extractor import FeatureExtractor
    from netvlad_ros.core.place_map.place_map import PlaceMap
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

FeatureModel = Annotated[
    Path | None,
    typer.Option(
        '--feature-model',
        metavar='F.onnx',
        help='The feature bundle that the map was built with, where it was built with one '
        '(--features PATH.onnx).',
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


def map_extractor(
    place_map: PlaceMap, feature_model: Path | None, device: str
) -> FeatureExtractor | None:
    """The extractor of a feature bundle, where the map has its features; None for other maps.

    Raises:
        NetvladError: the bundle is missing, is another one, or the map has no features of one.
    """
    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.core.features.extractor import open_extractor

    spec = None if place_map.features is None else place_map.features.spec
    if spec is None or spec.kind != 'onnx':
        if feature_model is not None:
            kind = 'no' if spec is None else spec.kind
            raise NetvladError(
                f'map {place_map.directory} has {kind} features, none of a feature bundle; '
                'leave out --feature-model'
            )
        return None
    try:
        return open_extractor(spec, model=feature_model, device=device)
    except NetvladError as error:
        raise NetvladError(f'{error} (--feature-model)') from error
