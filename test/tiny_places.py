"""Images without pixels: what is known of where and when they were taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netvlad_ros.offline.datasets.place_images import PlaceImages


def place_images(name='set', count=0, **columns):
    """Images with what is given; texts of one letter an image may be given as a string."""
    given = {k: v for k, v in columns.items() if v is not None}
    count = count or len(next(iter(given.values())))
    texts = {
        k: np.array(list(given.get(k, [name] * count)), dtype=str) for k in ('recordings', 'areas')
    }
    numbers = {
        k: None if k not in given else np.array(given[k], dtype=np.float64)
        for k in ('positions_m', 'headings_deg', 'times_s')
    }
    places = given.get('places')
    return PlaceImages(
        name=name,
        images=tuple(given.get('images') or (Path(f'{name}_{i}.jpg') for i in range(count))),
        places=None if places is None else np.array(places, dtype=np.int64),
        is_query=np.array(given.get('is_query', np.ones(count)), dtype=bool),
        is_database=np.array(given.get('is_database', np.ones(count)), dtype=bool),
        apart=tuple(np.array(column, dtype=str) for column in given.get('apart', ())),
        **texts,
        **numbers,
    )


def clip_images(rows, name='clips'):
    """rows: clip, second, floor, area."""
    clips, seconds, floors, areas = zip(*rows, strict=True)
    return place_images(name, recordings=clips, times_s=seconds, apart=(floors, areas, clips))
