"""default_model: where the model of the package lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from netvlad_ros.core.errors import NetvladError

NAME = 'mobilenetv2_edgepoint2_netvlad_2048.onnx'


def default_model() -> Path:
    """Find the model bundle of the package.

    It is looked for beside the sources, then in share/netvlad_ros/models of every sourced ROS
    workspace, then of the Python environment.

    Raises:
        NetvladError: it is not installed.
    """
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    places = [
        Path(__file__).resolve().parents[3] / 'models' / NAME,
        *(Path(prefix, 'share', 'netvlad_ros', 'models', NAME) for prefix in prefixes if prefix),
    ]
    for place in places:
        if place.is_file():
            return place
    raise NetvladError(f'the model {NAME} of the package is not installed; name one with --model')
