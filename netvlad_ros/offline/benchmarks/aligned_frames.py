"""Benchmarks of aligned sequences: frames of equal or near number show the same place."""

from __future__ import annotations

from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.assembly import assemble, within_frames
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.loader import DatasetInfo
from netvlad_ros.offline.benchmarks.numbered_images import images_by_number, named_images
from netvlad_ros.offline.benchmarks.positioned import has_utm_folders, load_utm_folders
from netvlad_ros.offline.benchmarks.text_list import read_text_list
from netvlad_ros.offline.files.image_files import image_names

NORDLAND_FRAMES = 10  # Hausler et al., Patch-NetVLAD, CVPR 2021
# As the film's frames are published, and as the Patch-NetVLAD authors list both folders.
NORDLAND_LISTS = (
    ('cleanImageNames.txt',) * 2,
    ('nordland_imageNames.txt',) * 2,
    ('nordland_imageNames_index.txt', 'nordland_imageNames_query.txt'),
)
NORDLAND_FOLDERS = ('.', 'dataset_imagenames', 'dataset_imageNames')
MAX_LIST_BYTES = 2**24


def load_frames(
    database_name: str, query_name: str, tolerance: int, dataset: DatasetInfo, root: Path
) -> Benchmark:
    """Two folders below root with images numbered alike; right: up to `tolerance` frames apart."""
    folders = [dataset.folder(dataset.folder(root) / name) for name in (database_name, query_name)]
    database, queries = images_by_number(*folders)
    right = within_frames(queries, database, tolerance)
    return assemble(dataset, root, database, queries, right)


def load_vp_air(dataset: DatasetInfo, root: Path) -> Benchmark:
    """reference_views/ and queries/ numbered alike, right: 3 frames; distractors/ are wrong."""
    folders = [
        dataset.folder(dataset.folder(root) / name) for name in ('reference_views', 'queries')
    ]
    database, queries = images_by_number(*folders)
    right = within_frames(queries, database, 3)
    names = image_names(root, below='distractors')
    distractors = named_images(root, names)
    unknown = () if names else ('distractors/',)
    return assemble(dataset, root, database.then(distractors), queries, right, unknown=unknown)


def load_nordland(dataset: DatasetInfo, root: Path) -> Benchmark:
    """summer/ and winter/, and a list of the names in use; or the UTM-named folders.

    Without a list, the number in a name is the frame.
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
        database, queries = (
            named_images(above, (f'{folder.name}/{name}' for name in _names(path)))
            for folder, path in zip(folders, lists[0], strict=True)
        )
    else:
        database, queries = images_by_number(*folders)
    right = within_frames(queries, database, NORDLAND_FRAMES)
    return assemble(dataset, root, database, queries, right)


def _names(path: Path) -> list[str]:
    """Names of images, one a line, without the folders that stand before some of them."""
    lines = read_text_list(path, MAX_LIST_BYTES)
    names = [line.replace('\\', '/').rsplit('/', maxsplit=1)[-1] for line in lines]
    if not names:
        raise NetvladError(f'{path} names no image')
    return names
