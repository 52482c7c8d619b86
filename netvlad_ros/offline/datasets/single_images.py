"""Reader of single images: each is a place of its own, unless `pairs.csv` says more."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.offline.drives.pairs_file import read_pairs
from netvlad_ros.offline.files.image_files import image_names
from netvlad_ros.offline.progress import Skip


def read_single_images(folder: Path) -> PlaceImages:
    """Read all images below a folder, and `pairs.csv` (query,db) where there is one.

    Without pairs an image has no other image of its place: it is trained on changed copies of
    itself. A pair holds in both directions.

    Raises:
        NetvladError: a broken line of pairs.csv, by its number.
    """
    names = image_names(folder)
    number = {name: index for index, name in enumerate(names)}
    pairs: set[tuple[int, int]] = set()
    unknown: dict[str, None] = {}
    listed = read_pairs(folder / 'pairs.csv') if (folder / 'pairs.csv').exists() else {}
    for query, found in listed.items():
        for other in found:
            missing = [name for name in (query, other) if name not in number]
            unknown.update(dict.fromkeys(missing))
            if not missing and query != other:
                pair = number[query], number[other]
                pairs |= {pair, pair[::-1]}
    everything = np.ones(len(names), dtype=bool)
    numbers = np.arange(len(names), dtype=np.int64)
    return PlaceImages(
        name=folder.resolve().name,
        images=tuple(folder / name for name in names),
        recordings=numbers.astype(str),
        areas=np.full(len(names), '', dtype=str),
        positions_m=None,
        headings_deg=None,
        times_s=None,
        places=numbers,
        is_query=everything,
        is_database=everything,
        pairs=np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2),
        skipped=tuple(Skip(name, 'named in pairs.csv, but not there') for name in sorted(unknown)),
    )
