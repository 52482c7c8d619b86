"""Reader of images whose names hold their position: `@east@north@...@.jpg`."""

from __future__ import annotations

import math
import re
from pathlib import Path, PurePosixPath

import numpy as np

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.datasets.utm import heading_of_bearing
from netvlad_ros.offline.files.image_files import image_names
from netvlad_ros.offline.progress import Skip

# Fields between the @ signs of a name; the first is empty.
EAST, NORTH, ZONE, LETTER, HEADING, TIMESTAMP = 1, 2, 3, 4, 9, 13
MAX_METRES = 1e8
NO_PLACE = 'its name does not begin with @east@north@'


def read_utm_folders(folder: Path) -> PlaceImages:
    """Read the folder of one split, with `database/` and `queries/`, or one folder of both.

    Names are @ east @ north @ zone number @ zone letter @ latitude @ longitude @ panorama @ tile
    @ heading @ pitch @ roll @ height @ timestamp @ note @ extension; only east and north [m] are
    needed. The recording is the side, and the day or month of the timestamp where there is one.

    Raises:
        NetvladError: the folder of several splits, or only one of the two sides.
    """
    sides = [side for side in ('database', 'queries') if (folder / side).is_dir()]
    if len(sides) == 1:
        raise NetvladError(f'{folder} has {sides[0]}/ but not the other of database/ and queries/')
    images: list[Path] = []
    rows: list[tuple[float, float, float]] = []
    recordings: list[str] = []
    areas: list[str] = []
    is_query: list[bool] = []
    is_database: list[bool] = []
    skipped: list[Skip] = []
    for side in sides or ['.']:
        for name in image_names(folder, below=side):
            fields = PurePosixPath(name).name.split('@')
            position = [_metres(text) for text in fields[EAST : NORTH + 1]]
            if len(position) < 2 or not all(map(math.isfinite, position)):
                skipped.append(Skip(name, NO_PLACE))
                continue
            fields += [''] * (TIMESTAMP + 1 - len(fields))
            images.append(folder / name)
            rows.append((position[0], position[1], _metres(fields[HEADING])))
            day = fields[TIMESTAMP].split('_')[0]
            recordings.append('/'.join(part for part in (side.strip('.'), day) if part))
            areas.append(_area(fields[ZONE], fields[LETTER]))
            is_query.append(side != 'database')
            is_database.append(side != 'queries')
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return PlaceImages(
        name=folder.resolve().name,
        images=tuple(images),
        recordings=np.array(recordings, dtype=str),
        # If one name gives no zone, all are taken to be of the same zone.
        areas=np.array(areas if all(areas) else [''] * len(areas), dtype=str),
        positions_m=table[:, :2],
        headings_deg=heading_of_bearing(table[:, 2]),
        times_s=None,
        places=None,
        is_query=np.array(is_query, dtype=bool),
        is_database=np.array(is_database, dtype=bool),
        skipped=tuple(skipped),
    )


def _metres(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if abs(value) < MAX_METRES else math.nan


def _area(zone: str, letter: str) -> str:
    """Zone and hemisphere: northings are continuous over the bands of one hemisphere."""
    if not re.fullmatch(r'\d{1,2}', zone):
        return ''
    return f'utm{int(zone)}{"S" if letter.upper() < "N" and letter else "N"}'
