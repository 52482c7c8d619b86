"""Options that several commands share."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from netvlad_ros.offline.drives.drive import Drive


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


@dataclass(frozen=True)
class DriveOptions:
    """The options of a bag and of its camera, as the user gave them.

    A command that has a parameter `drive_options` of this type, and is decorated with
    `with_drive_options`, has them all. Fields and their meaning: BagOptions.
    """

    image_topic: ImageTopic = None
    pose_topic: PoseTopic = None
    pose_tolerance: PoseTolerance = 0.25
    map_frame: MapFrame = None
    base_frame: BaseFrame = None
    camera_frame: CameraFrame = None
    T_base_cam: TBaseCam = None
    pose_is_camera: PoseIsCamera = False
    allow_truncated: AllowTruncated = False
    camera_file: CameraFileOption = None
    camera_info_topic: CameraInfoTopic = None

    def open(self, source: Path, *, without_poses: bool = False) -> Drive:
        """Open a drive with these options.

        Args:
            source: a folder, or a bag.
            without_poses: the drive needs no poses, and may be any folder of images.

        Raises:
            NetvladError: it is missing, of no known kind, or broken.
        """
        from netvlad_ros.offline.drives.open_drive import open_drive

        return open_drive(
            source,
            image_topic=self.image_topic,
            pose_topic=self.pose_topic,
            pose_tolerance_s=self.pose_tolerance,
            map_frame=self.map_frame,
            base_frame=self.base_frame,
            camera_frame=self.camera_frame,
            T_base_cam=self.T_base_cam,
            pose_is_camera=self.pose_is_camera,
            allow_truncated=self.allow_truncated,
            camera_file=self.camera_file,
            camera_info_topic=self.camera_info_topic,
            without_poses=without_poses,
        )


CAMERA_OPTIONS = ('camera_file', 'camera_info_topic')
DRIVE_OPTIONS = tuple(entry.name for entry in fields(DriveOptions))
POSE_OPTIONS = (
    'pose_topic',
    'pose_tolerance',
    'map_frame',
    'base_frame',
    'camera_frame',
    'T_base_cam',
    'pose_is_camera',
)


def with_drive_options(
    *, camera_first: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Show typer one option for each field of DriveOptions, in place of `drive_options`.

    Args:
        camera_first: the help lists the options of the camera before those of bags.
    """
    names = sorted(DRIVE_OPTIONS, key=lambda name: name not in CAMERA_OPTIONS)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(DriveOptions, include_extras=True)
        options = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=getattr(DriveOptions, name),
                annotation=hints[name],
            )
            for name in (names if camera_first else DRIVE_OPTIONS)
        ]
        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = []
        for parameter in own:
            shown = options if parameter.name == 'drive_options' else [parameter]
            parameters += [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in shown]

        @functools.wraps(command)
        def flat(**arguments: Any) -> None:
            given = {name: arguments.pop(name) for name in DRIVE_OPTIONS}
            command(**arguments, drive_options=DriveOptions(**given))

        flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        flat.__annotations__ = {one.name: one.annotation for one in parameters}
        return flat

    return decorate
