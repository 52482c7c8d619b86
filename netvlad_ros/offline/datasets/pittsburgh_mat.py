"""Reader of the NetVLAD authors' lists (`dbStruct`): Pittsburgh, Tokyo 24/7, Time Machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.files.image_files import ImageFinder, existing_folder
from netvlad_ros.offline.files.matlab_file import read_matlab

FIELDS = ('dbImageFns', 'utmDb', 'qImageFns', 'utmQ')
# Where people unpack the images, from the folder of the dataset.
DATABASE_FOLDERS = ('', 'images', 'tokyo247', 'tokyoTimeMachine')
QUERY_FOLDERS = (
    'queries_real',
    'queries',
    'query',
    '247query_subset_v2',
    '247query_v3',
    'tokyo247/247query_subset_v2',
    *DATABASE_FOLDERS,
)
MAX_BYTES = 2**28  # the longest published lists unpack to some tens of megabytes
LOOKED_AT = 50  # the first names, by which the folder of the images is chosen


def read_pittsburgh_mat(path: Path) -> PlaceImages:
    """Read a list whose images lie beside it or, if it lies in `datasets/`, beside that folder.

    Positions are UTM [m]. The recording is the side; in the Time Machine lists it is the time
    stamp. Positives of these must come from another time: train with multi_visit. The radii in the
    list are not used, those of the configuration are.

    Raises:
        NetvladError: no readable list, or names and positions do not agree in number.
    """
    struct = read_matlab(path, 'dbStruct', max_bytes=MAX_BYTES)
    if not isinstance(struct, dict):
        raise NetvladError(f'{path}: dbStruct is not one struct')
    for name in FIELDS:
        if name not in struct:
            raise NetvladError(f'{path}: dbStruct has no field {name}; it needs {FIELDS}')
    folder = path.resolve().parent
    root = folder.parent if folder.name == 'datasets' else folder
    images: list[Path] = []
    positions: list[NDArray[np.float64]] = []
    recordings: list[str] = []
    is_query: list[bool] = []
    skipped = []
    for side, fields, folders in (
        ('database', ('dbImageFns', 'utmDb', 'dbTimeStamp'), DATABASE_FOLDERS),
        ('queries', ('qImageFns', 'utmQ', 'qTimeStamp'), QUERY_FOLDERS),
    ):
        names = _names(struct[fields[0]], f'{path}: {fields[0]}')
        utm = _numbers(struct[fields[1]], (2, len(names)), f'{path}: {fields[1]}')
        stamps = None
        if fields[2] in struct and np.size(struct[fields[2]]):
            stamps = _numbers(struct[fields[2]], (1, len(names)), f'{path}: {fields[2]}')[0]
        finder = ImageFinder(existing_folder(root, folders, names[:LOOKED_AT]))
        for i, name in enumerate(names):
            image = finder.find(name)  # Tokyo 24/7 lists .jpg, and holds .png
            if image is None:
                continue
            images.append(image)
            positions.append(utm[:, i])
            recordings.append(side if stamps is None else f'{stamps[i]:.15g}')
            is_query.append(side == 'queries')
        skipped += finder.skipped
    asked = np.array(is_query, dtype=bool)
    return PlaceImages(
        name=path.stem,
        images=tuple(images),
        recordings=np.array(recordings, dtype=str),
        areas=np.full(len(images), '', dtype=str),
        positions_m=np.array(positions, dtype=np.float64).reshape(-1, 2),
        headings_deg=None,
        times_s=None,
        places=None,
        is_query=asked,
        is_database=~asked,
        skipped=tuple(skipped),
    )


def _names(cells: object, what: str) -> list[str]:
    listed: list[object] = cells.ravel().tolist() if isinstance(cells, np.ndarray) else [cells]
    names = [name for name in listed if isinstance(name, str)]
    if len(names) < len(listed):
        raise NetvladError(f'{what} is not a list of file names')
    return names


def _numbers(value: object, shape: tuple[int, int], what: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise NetvladError(f'{what} holds no numbers') from error
    if shape[0] == 1:
        numbers = numbers.reshape(1, -1)
    if numbers.shape != shape:
        raise NetvladError(
            f'{what} must be {shape[0]} x {shape[1]} finite numbers, one column an image; '
            f'it is {" x ".join(map(str, numbers.shape))}'
        )
    if not np.isfinite(numbers).all():
        image = int(np.flatnonzero(~np.isfinite(numbers).all(axis=0))[0])
        raise NetvladError(f'{what}: that of image {image + 1} is not finite')
    return numbers
