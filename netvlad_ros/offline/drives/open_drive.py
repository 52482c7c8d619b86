"""open_drive: chooses the reader that a path needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.drive import Drive
from netvlad_ros.offline.drives.drive_options import BagOptions

UNDERSTOOD = (
    'a folder with poses.csv and images/, a rosbag2 folder (metadata.yaml with .mcap or .db3 '
    'files), or a single .mcap or .db3 file'
)


def open_drive(source: Path | str, **options: Any) -> Drive:
    """Open a drive.

    Args:
        source: a folder with `poses.csv`, a bag, or a file of a bag. With the option
            `without_poses` also any folder of images.
        options: fields of BagOptions.

    Raises:
        NetvladError: the source is missing, of no known kind, or broken.
    """
    source = Path(source)
    bag_options = BagOptions(**options)
    if not source.exists():
        raise NetvladError(f'{source} does not exist; a drive is {UNDERSTOOD}')
    if source.is_dir() and (source / 'poses.csv').is_file():
        from netvlad_ros.offline.drives.folder_drive import FolderDrive

        return FolderDrive(source, bag_options)
    if _is_bag(source):
        from netvlad_ros.offline.drives.bags.bag_drive import BagDrive

        return BagDrive(source, bag_options)
    if bag_options.without_poses and source.is_dir():
        from netvlad_ros.offline.drives.camera_file import read_camera_model
        from netvlad_ros.offline.drives.image_drive import ImageDrive

        file = bag_options.camera_file
        return ImageDrive(source, camera=None if file is None else read_camera_model(file))
    raise NetvladError(f'{source} is no drive: {_seen(source)}; a drive is {UNDERSTOOD}')


def _is_bag(source: Path) -> bool:
    from netvlad_ros.offline.drives.bags.bag_storage import SUFFIXES

    if not source.is_dir():
        return source.suffix in SUFFIXES
    return (source / 'metadata.yaml').is_file() or any(
        file.suffix in SUFFIXES for file in source.iterdir()
    )


def _seen(source: Path) -> str:
    if not source.is_dir():
        return f'a file ending in "{source.suffix}"'
    names = sorted(path.name for path in source.iterdir())
    if not names:
        return 'the folder is empty'
    return f'it holds {", ".join(names[:8])}{" ..." if len(names) > 8 else ""}'
