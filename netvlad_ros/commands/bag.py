"""`netvlad bag write`: a drive as a rosbag2, to replay it through ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from netvlad_ros.commands.console import progress_bar, report_skips
from netvlad_ros.commands.options.shared import Selection, parse_size

app = typer.Typer(
    help='Write drives as rosbag2 recordings.', no_args_is_help=True, rich_markup_mode='markdown'
)


@app.callback()
def bag() -> None:
    """Write drives as rosbag2 recordings."""


@app.command()
def write(
    folder: Annotated[
        Path, typer.Argument(help='A drive: folder with poses.csv, images/ and camera.yaml.')
    ],
    out: Annotated[Path, typer.Option('--out', help='The bag to write, a folder.')],
    selection: Selection = None,
    size: Annotated[
        Any,  # width and height; typer would ask a tuple for two words
        typer.Option(parser=parse_size, metavar='WxH', help='Resize the images.'),
    ] = None,
    storage: Annotated[str, typer.Option(help='mcap or sqlite3.')] = 'mcap',
    compressed: Annotated[bool, typer.Option(help='JPEG images instead of raw rgb8.')] = False,
) -> None:
    """Write a folder drive as a rosbag2: images, camera_info and TF, stamped as in poses.csv.

    Topics: /camera/image_raw (or /camera/image_raw/compressed), /camera/camera_info if there is
    a camera.yaml, /tf (map -> base_link), /tf_static (base_link -> camera_optical_frame). A folder
    knows no robot: base_link is put where the camera is, x forward.
    """
    from netvlad_ros.offline.drives.bags.bag_conversion import write_bag
    from netvlad_ros.offline.drives.drive_options import BagOptions
    from netvlad_ros.offline.drives.folder_drive import FolderDrive
    from netvlad_ros.offline.progress import Skip

    drive = FolderDrive(folder, BagOptions())
    camera_file = folder / 'camera.yaml'
    if not camera_file.exists():
        typer.echo(f'netvlad: {folder} has no camera.yaml, so no camera_info is written', err=True)
    skipped: list[Skip] = []
    with progress_bar('writing images') as progress:
        written = write_bag(
            drive,
            out,
            camera_file=camera_file if camera_file.exists() else None,
            selection=selection or slice(None),
            size=size,
            storage=storage,
            compressed=compressed,
            skipped=skipped,
            progress=progress,
        )
    report_skips(drive, skipped)
    typer.echo(f'{out}: {written} images')
