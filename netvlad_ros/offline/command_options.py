"""Options that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.offline.progress import no_progress
from netvlad_ros.offline.report.safe_text import one_line

if TYPE_CHECKING:
    from netvlad_ros.offline.drives.drive import Traverse
    from netvlad_ros.offline.progress import Progress


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


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Show progress on stderr, where there is a terminal; stdout belongs to the result."""
    with progress_bars(title) as (progress,):
        yield progress


@contextmanager
def progress_bars(*titles: str) -> Iterator[list[Progress]]:
    """Show the progress of several stages, each of them from when it begins."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield [no_progress] * len(titles)
        return
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        tasks = [bar.add_task(title, total=None, visible=not i) for i, title in enumerate(titles)]

        def shown(task: TaskID) -> Callable[[int, int], None]:
            return lambda done, total: bar.update(task, completed=done, total=total, visible=True)

        yield [shown(task) for task in tasks]


def check_out_folder(out: Path | None) -> None:
    """Raise NetvladError, before hours are spent, unless files can be written into a folder."""
    from netvlad_ros.core.errors import NetvladError

    if out is None:
        return
    there = next(folder for folder in (out, *out.parents) if folder.exists())
    if not there.is_dir():
        raise NetvladError(f'--out: {out} cannot be written: {there} is a file; name a folder')
    if not os.access(there, os.W_OK | os.X_OK):
        raise NetvladError(f'--out: {out} cannot be written: no files may be written in {there}')


def report_missing(missing: Sequence[str], where: str) -> None:
    """Say on stderr how many images a benchmark lacks, and which is the first."""
    if missing:
        what = '1 image is' if len(missing) == 1 else f'{len(missing)} images are'
        sentence = f'{where}: {what} missing, the first is {missing[0][:120]}'
        typer.echo(one_line(f'netvlad: {sentence}'), err=True)


def report_skips(traverse: Traverse) -> None:
    """Say on stderr what was left out of a drive, and why."""
    from netvlad_ros.offline.progress import skip_sentences

    for sentence in [*getattr(traverse, 'notes', []), *skip_sentences(traverse.skipped)]:
        typer.echo(one_line(f'netvlad: {traverse.name}: {sentence}'), err=True)
