"""Benchmarks of aligned sequences: the frame of a query says which frames are right."""

from __future__ import annotations

from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.assembly import assemble, within_frames
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.loader import DatasetInfo
from netvlad_ros.offline.benchmarks.numbered_images import images_by_number, named_images
from netvlad_ros.offline.benchmarks.positioned import has_utm_folders, load_utm_folders
from netvlad_ros.offline.files.image_files import image_names

NORDLAND_FRAMES = 10  # Hausler et al., Patch-NetVLAD, CVPR 2021
# As the film's frames are handed out, and as the Patch-NetVLAD authors list each side.
NORDLAND_LISTS = (
    ('cleanImageNames.txt',) * 2,
    ('nordland_imageNames.txt',) * 2,
    ('nordland_imageNames_index.txt', 'nordland_imageNames_query.txt'),
)
NORDLAND_FOLDERS = ('.', 'dataset_imagenames', 'dataset_imageNames')
MAX_LIST_BYTES = 2**24


def load_frames(
    database: str, queries: str, tolerance: int, dataset: DatasetInfo, root: Path
) -> Benchmark:
    """Two folders below root whose images are numbered alike; right: `tolerance` frames apart."""
    folders = [dataset.folder(dataset.folder(root) / name) for name in (database, queries)]
    places, asked = images_by_number(*folders)
    return assemble(dataset, root, places, asked, within_frames(asked, places, tolerance))


def load_vp_air(dataset: DatasetInfo, root: Path) -> Benchmark:
    """reference_views/ and queries/ numbered alike, 3 frames; distractors/ are never right."""
    folders = [
        dataset.folder(dataset.folder(root) / name) for name in ('reference_views', 'queries')
    ]
    places, asked = images_by_number(*folders)
    right = within_frames(asked, places, 3)
    names = image_names(root, below='distractors')
    wrong = named_images(root, names)
    unknown = () if names else ('distractors/',)
    return assemble(dataset, root, places.then(wrong), asked, right, unknown=unknown)


def load_nordland(dataset: DatasetInfo, root: Path) -> Benchmark:
    """summer/ and winter/, and a list of the names in use; or the UTM-named folders.

    Without a list, the numbers in the names are the frames.
    """
    if has_utm_folders(root):
        return load_utm_folders(dataset, root)
    above = root / 'data' if (root / 'data' / 'summer').is_dir() else root
    folders = [dataset.folder(dataset.folder(above) / season) for season in ('summer', 'winter')]
    lists = [
        [root / where / name for name in names]
        for where in NORDLAND_FOLDERS
        for names in NORDLAND_LISTS
        if all((root / where / name).is_file() for name in names)
    ]
    if lists:
        places, asked = (
            named_images(above, (f'{folder.name}/{name}' for name in _names(path)))
            for folder, path in zip(folders, lists[0], strict=True)
        )
    else:
        places, asked = images_by_number(*folders)
    right = within_frames(asked, places, NORDLAND_FRAMES)
    return assemble(dataset, root, places, asked, right)


def _names(path: Path) -> list[str]:
    """Names of images, a line each; a folder before a name is that of another machine."""
    if path.stat().st_size > MAX_LIST_BYTES:
        raise NetvladError(f'{path} is larger than {MAX_LIST_BYTES} bytes')
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise NetvladError(f'{path} is not a text file in UTF-8') from error
    lines = filter(None, map(str.strip, text.splitlines()))
    names = [line.replace('\\', '/').rsplit('/', maxsplit=1)[-1] for line in lines]
    if not names:
        raise NetvladError(f'{path} names no image')
    return names
