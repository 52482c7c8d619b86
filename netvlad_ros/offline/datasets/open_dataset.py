"""read_place_images: chooses the reader that a source of training images needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.clips import read_clips
from netvlad_ros.offline.datasets.drives import read_bag, read_folder_drive, read_visits
from netvlad_ros.offline.datasets.gps_track import read_gps_track
from netvlad_ros.offline.datasets.gsv_cities import read_gsv_cities
from netvlad_ros.offline.datasets.msls import read_msls
from netvlad_ros.offline.datasets.pittsburgh_mat import read_pittsburgh_mat
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.datasets.single_images import read_single_images
from netvlad_ros.offline.datasets.utm_folders import read_utm_folders
from netvlad_ros.offline.drives.bags.bag_storage import SUFFIXES as BAG_SUFFIXES
from netvlad_ros.offline.drives.drive_options import BagOptions
from netvlad_ros.offline.progress import skip_sentences

_READERS: dict[str, Callable[[Path], PlaceImages]] = {
    'folder': read_folder_drive,
    'visits': read_visits,
    'clips': read_clips,
    'gps': read_gps_track,
    'single': read_single_images,
    'msls': read_msls,
    'gsv_cities': read_gsv_cities,
    'utm_folders': read_utm_folders,
    'pittsburgh_mat': read_pittsburgh_mat,
}
LAYOUTS = ('auto', 'bag', *_READERS)
UNDERSTOOD = (
    'a folder with poses.csv, frames.csv or gps.csv, a folder of such drives (layout visits), '
    'a folder of images (layout single), '
    'a rosbag2, a dbStruct .mat of Pittsburgh or Tokyo, database/ and queries/ with @east@north@ '
    'names, MSLS (train_val/ or a city), or GSV-Cities (Dataframes/ and Images/)'
)


def read_place_images(
    path: Path,
    layout: str = 'auto',
    *,
    cache: Path | None = None,
    max_area_px: int = 0,
    **bag_options: Any,
) -> PlaceImages:
    """Read the list of a source's images, with what is known of where they were taken.

    Args:
        path: the source.
        layout: one of LAYOUTS.
        cache: folder for the images of bags. Each bag gets a folder that is written once.
        max_area_px: larger images of a bag are stored with this area [px]; 0 keeps them.
        bag_options: fields of BagOptions, for bags only.

    Raises:
        NetvladError: missing, of no known layout, a broken line (by number), or no image is left.
    """
    if not path.exists():
        raise NetvladError(f'{path} does not exist; a source of training images is {UNDERSTOOD}')
    if layout == 'auto':
        layout = _layout_of(path)
    if layout == 'bag':
        if cache is None:
            raise NetvladError(f'{path} is a bag: training needs a cache folder for its images')
        found = read_bag(path, cache, max_area_px, BagOptions(**bag_options))
    elif layout in _READERS:
        found = _READERS[layout](path)
    else:
        raise NetvladError(f'layout {layout!r} is none of {", ".join(LAYOUTS)}')
    if not len(found):
        reasons = '; '.join(skip_sentences(found.skipped)) or 'it lists none'
        raise NetvladError(f'{path}: no image is left to train on ({reasons})')
    return found


def _layout_of(path: Path) -> str:
    if path.is_file():
        if path.suffix in BAG_SUFFIXES:
            return 'bag'
        if path.suffix == '.mat':
            return 'pittsburgh_mat'
        raise NetvladError(f'{path} is no source of training images; one is {UNDERSTOOD}')
    for name, layout in (
        ('poses.csv', 'folder'),
        ('frames.csv', 'clips'),
        ('gps.csv', 'gps'),
        ('metadata.yaml', 'bag'),
        ('train_val', 'msls'),
        ('query', 'msls'),
        ('Dataframes', 'gsv_cities'),
        ('database', 'utm_folders'),
    ):
        if (path / name).exists():
            return layout
    names = sorted(entry.name for entry in path.iterdir())
    if any(Path(name).suffix in BAG_SUFFIXES for name in names):
        return 'bag'
    if any(name.startswith('@') for name in names):
        return 'utm_folders'
    if any((path / name / 'query').is_dir() for name in names):
        return 'msls'
    if any(path.glob('*/poses.csv')) or any(path.glob('*/*/poses.csv')):
        raise NetvladError(
            f'{path} holds several drives: give each as a source of its own or, where the drives '
            'through one place share a map frame, choose layout visits'
        )
    seen = ', '.join(names[:8]) + (' ...' if len(names) > 8 else '')
    raise NetvladError(f'{path} holds {seen or "nothing"}; training reads {UNDERSTOOD}')
