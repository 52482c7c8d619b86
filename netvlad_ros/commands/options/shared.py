"""Options that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    pass


def parse_slice(text: str) -> slice:
    """Turn START:STOP:STEP into a slice, as Python reads it; steps go forward."""
    parts = text.split(':')
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = []
    if not 2 <= len(numbers) <= 3 or (len(numbers) == 3 and (numbers[2] or 1) < 1):
        raise typer.BadParameter(
            f'"{text}" is no slice: write START:STOP or START:STOP:STEP with whole numbers, '
            'STEP above 0, as in 0:500 or ::2'
        )
    if len(numbers) == 3 and numbers[2] == 0:
        raise typer.BadParameter(f'"{text}": a STEP of 0 leads nowhere')
    return slice(*numbers)


def parse_pose(text: str) -> Any:
    """Turn "x y z qx qy qz qw" into T (4, 4)."""
    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.core.geometry import check_pose, pose_matrix

    try:
        numbers = [float(word) for word in text.replace(',', ' ').split()]
    except ValueError:
        numbers = []
    if len(numbers) != 7:
        raise typer.BadParameter(f'"{text}" is no pose: write seven numbers "x y z qx qy qz qw"')
    try:
        check_pose(numbers)
    except NetvladError as error:
        raise typer.BadParameter(str(error)) from error
    return pose_matrix(numbers[:3], numbers[3:])


def parse_size(text: str) -> tuple[int, int]:
    """Turn WIDTHxHEIGHT into width and height [px]."""
    width, _, height = text.lower().partition('x')
    if not (width.isdecimal() and height.isdecimal()):
        raise typer.BadParameter(f'"{text}" is no size: write WIDTHxHEIGHT, as in 640x480')
    size = int(width), int(height)
    if not all(16 <= side <= 16384 for side in size):
        raise typer.BadParameter(f'"{text}": sides must be 16 to 16384 px')
    return size


def not_negative(value: float | None) -> float | None:
    """Refuse numbers below 0 and those that are none."""
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise typer.BadParameter('it must be a number, 0 or more')
    return value


Source = Annotated[
    Path,
    typer.Argument(help='A drive: folder with poses.csv and images/, rosbag2 folder, .mcap, .db3.'),
]
Model = Annotated[
    Path | None,
    typer.Option('--model', help='Model bundle (.onnx); left out: the one of the package.'),
]
Device = Annotated[
    str, typer.Option('--device', help='auto, cpu, cuda or tensorrt; auto: CUDA where it works.')
]
Selection = Annotated[
    slice | None,
    typer.Option(
        '--slice',
        parser=parse_slice,
        metavar='A:B:C',
        help='Only these of the ordered images, as in Python: 0:500, 500:1000:5, ::2.',
    ),
]
AsJson = Annotated[bool, typer.Option('--json', help='Print JSON, and nothing else.')]

BAG_PANEL = 'Bags, and how the camera is mounted'
ImageTopic = Annotated[
    str | None,
    typer.Option(
        '--image-topic',
        help='Raw or compressed images; needed where a bag has several such topics.',
        rich_help_panel=BAG_PANEL,
    ),
]
PoseTopic = Annotated[
    str | None,
    typer.Option(
        '--pose-topic',
        help='PoseStamped, PoseWithCovarianceStamped or Odometry; left out: TF, or the only such '
        'topic where TF does not lead from map to camera.',
        rich_help_panel=BAG_PANEL,
    ),
]
PoseTolerance = Annotated[
    float,
    typer.Option(
        '--pose-tolerance',
        callback=not_negative,
        help='Largest gap in seconds between the two poses around an image; beyond it, and '
        'outside the recorded poses, the image is skipped.',
        rich_help_panel=BAG_PANEL,
    ),
]
MapFrame = Annotated[
    str | None,
    typer.Option(
        '--map-frame',
        help="Frame of the map; left out: 'map', or the frame of the pose topic.",
        rich_help_panel=BAG_PANEL,
    ),
]
BaseFrame = Annotated[
    str | None,
    typer.Option(
        '--base-frame',
        help="Frame of the robot; left out: 'base_link', or the child frame of the odometry. Poses "
        'without a child frame are taken to be of this frame.',
        rich_help_panel=BAG_PANEL,
    ),
]
CameraFrame = Annotated[
    str | None,
    typer.Option(
        '--camera-frame',
        help="Optical frame of the camera; left out: the frame in the images' headers.",
        rich_help_panel=BAG_PANEL,
    ),
]
TBaseCam = Annotated[
    Any,
    typer.Option(
        '--T-base-cam',
        parser=parse_pose,
        metavar='"x y z qx qy qz qw"',
        help='Where the camera (optical frame) sits on the robot, in metres: for folders, and bags '
        'whose /tf_static does not tell.',
        rich_help_panel=BAG_PANEL,
    ),
]
PoseIsCamera = Annotated[
    bool,
    typer.Option(
        '--pose-is-camera',
        help="The pose topic gives the camera's optical frame itself.",
        rich_help_panel=BAG_PANEL,
    ),
]
AllowTruncated = Annotated[
    bool,
    typer.Option(
        '--allow-truncated',
        help='Use what can be read of a bag that was cut off.',
        rich_help_panel=BAG_PANEL,
    ),
]

CAMERA_PANEL = 'Camera calibration'
CameraFileOption = Annotated[
    Path | None,
    typer.Option(
        '--camera',
        metavar='FILE',
        help="camera.yaml (as ROS camera_info) of the drive's camera; left out: what the drive "
        'itself carries.',
        rich_help_panel=CAMERA_PANEL,
    ),
]
CameraInfoTopic = Annotated[
    str | None,
    typer.Option(
        '--camera-info-topic',
        help='Calibration in a bag; left out: camera_info beside the image topic.',
        rich_help_panel=CAMERA_PANEL,
    ),
]
