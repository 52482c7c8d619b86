"""held_out: the images that are kept for validation, by whole places and recordings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.datasets.place_images import PlaceImages
from netvlad_ros.training.config.sections import SupervisionConfig

Mask = NDArray[np.bool_]
SHOWN = 12  # names that an error lists
SLACK = 1.25  # a unit may be larger than what is still wanted by this factor


def held_out(sources: Sequence[PlaceImages], config: SupervisionConfig) -> list[Mask]:
    """For each source, which of its images are kept for validation, (N,) bool.

    These are the sources marked `validation` and the named areas. Without either, they are a share
    of whole units: of images connected by `pairs`, else of the first column of `apart`, else of
    areas, else of labelled places, else of recordings. No place and no recording is on both sides.
    The choice depends only on the names of the units, so it is the same in every run.

    Raises:
        NetvladError: an area has no images, or there are too few units to divide.
    """
    masks = [np.full(len(source), source.validation) for source in sources]
    for name in config.validation_areas:
        found = [_named(source, name) for source in sources]
        if not any(mask.any() for mask in found):
            known = sorted({str(unit) for s in sources for unit in np.unique(_units(s))})
            listed = ', '.join(known[:SHOWN]) + (' ...' if len(known) > SHOWN else '')
            raise NetvladError(
                f'validation_areas names {name!r}, which has no images; there are {listed}'
            )
        masks = [mask | more for mask, more in zip(masks, found, strict=True)]
    if config.validation_share > 0.0 and not any(mask.any() for mask in masks):
        return _shared(sources, config.validation_share)
    return masks


def _named(source: PlaceImages, name: str) -> Mask:
    """By the full name of the area, its last part (a city of a source), or a column of clips."""
    mask = np.isin(source.areas, [area for area in np.unique(source.areas) if _is(area, name)])
    for column in source.apart:
        mask |= column == name
    return mask


def _is(area: str, name: str) -> bool:
    return area == name or area.endswith(f'/{name}')


def _units(source: PlaceImages) -> NDArray[np.str_]:
    if source.pairs is not None:
        return _connected(source.pairs, len(source))
    if source.apart:
        return source.apart[0]
    if len(np.unique(source.areas)) > 1:
        return source.areas
    if source.places is not None:
        return source.places.astype(str)
    return source.recordings


def _connected(pairs: NDArray[np.int64], count: int) -> NDArray[np.str_]:
    """Images that are connected by pairs have one name."""
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(str)


def _shared(sources: Sequence[PlaceImages], share: float) -> list[Mask]:
    units: list[tuple[bytes, int, str, int]] = []
    columns = [_units(source) for source in sources]
    for index, (source, column) in enumerate(zip(sources, columns, strict=True)):
        for name, count in zip(*np.unique(column, return_counts=True), strict=True):
            key = hashlib.sha256(f'{source.name}\0{name}'.encode()).digest()
            units.append((key, index, str(name), int(count)))
    if len(units) < 2:
        raise NetvladError(
            'validation_share needs several recordings or areas to choose from; mark a source '
            'of its own with validation: true'
        )
    wanted = share * sum(len(source) for source in sources)
    taken: list[set[str]] = [set() for _ in sources]
    for _, index, name, count in sorted(units):
        if count <= wanted * SLACK:
            taken[index].add(name)
            wanted -= count
    if not any(taken):
        smallest = min(units, key=lambda unit: (unit[3], unit[0]))
        taken[smallest[1]].add(smallest[2])
    return [np.isin(column, sorted(names)) for column, names in zip(columns, taken, strict=True)]
