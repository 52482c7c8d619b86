"""Saving and loading of maps, their calibrations and thumbnails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import decode_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import atomic_directory
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.core.place_map.descriptor_codes import (
    FULL,
    descriptors_of,
    eight_bit_codes,
)
from netvlad_ros.core.place_map.feature_store import FeatureStore
from netvlad_ros.core.place_map.map_files import (
    INDEX_NAME,
    MAX_THUMBNAIL_BYTES,
    read_bounded,
    read_map_files,
    replace_entry,
    sha256,
    thumbnail_path,
    write_map_files,
)
from netvlad_ros.core.place_map.place_map import PlaceMap, check_map
from netvlad_ros.core.place_map.records import (
    fingerprint,
    map_index,
    map_rows,
    parse_index,
    parse_rows,
)
from netvlad_ros.core.words import error_words


def save_map(
    place_map: PlaceMap,
    directory: Path | str,
    *,
    thumbnails: Mapping[int, bytes] | None = None,
    eight_bits: bool = False,
    overwrite: bool = False,
) -> PlaceMap:
    """Write a map, completely or not at all.

    Args:
        place_map: the map.
        directory: the map folder.
        thumbnails: place index -> JPEG bytes.
        eight_bits: store the descriptors with 8 bits a component, see descriptor_codes.
        overwrite: whether a map in that folder is replaced.

    Returns:
        The map as it is on disk, with its map id.

    Raises:
        NetvladError: the directory exists and overwrite is False, or it exists and is no map.
    """
    directory = Path(directory)
    if directory.exists() and not (directory / INDEX_NAME).is_file():
        raise NetvladError(f'{directory} exists and is no map; choose another folder')
    descriptors = place_map.descriptors
    codes = eight_bit_codes(descriptors) if eight_bits else descriptors.astype(FULL)
    hashes = list(place_map.thumbnail_hashes)
    with atomic_directory(directory, overwrite=overwrite) as temporary:
        for i, jpeg in (thumbnails or {}).items():
            path = thumbnail_path(temporary, int(place_map.place_ids[i]))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(jpeg)
            hashes[i] = sha256(jpeg)
        saved = replace(
            place_map,
            descriptors=descriptors_of(codes),
            thumbnail_hashes=tuple(hashes),
            directory=directory,
        )
        rows = map_rows(saved)
        files = {} if saved.features is None else saved.features.save(temporary)
        index = {**map_index(saved), 'files': files}
        saved = replace(saved, map_id=fingerprint(index, codes, rows))
        index = {**index, 'map_id': saved.map_id}
        write_map_files(temporary, index, codes, rows)
    return replace(saved, features=_mapped_features(directory, index, len(saved)))


def load_map(directory: Path | str) -> PlaceMap:
    """Read and check a map: versions, hashes, shapes, unit rows, finite poses.

    Raises:
        NetvladError: the map is missing, broken or of another format version.
    """
    directory = Path(directory)
    where = f'map {directory}'
    files = read_map_files(directory)
    try:
        place_map = PlaceMap(
            descriptors=descriptors_of(files.codes),
            directory=directory,
            **parse_index(files.index),
            **parse_rows(files.rows),
        )
    except KeyError as error:
        raise NetvladError(f'{where}: {INDEX_NAME} lacks the entry {error}') from error
    except (TypeError, ValueError, OverflowError, AttributeError, MemoryError) as error:
        raise NetvladError(f'{where}: {INDEX_NAME} is malformed: {error_words(error)}') from error
    except NetvladError as error:
        raise NetvladError(f'{where}: {error}') from error
    features = _mapped_features(directory, files.index, len(place_map))
    place_map = replace(place_map, features=features)
    check_map(place_map, where)
    try:
        found = fingerprint(files.index, files.codes, files.rows)
    except (TypeError, ValueError, RecursionError):  # entries that are not JSON
        found = ''
    if found != place_map.map_id:
        raise NetvladError(f'{where}: its content is not what its map id says; build it again')
    return place_map


def store_calibration(place_map: PlaceMap, calibration: MapCalibration) -> PlaceMap:
    """Give a map another calibration; it is written to `map.yaml` if the map is on disk.

    Everything else stays unchanged, map_id included.

    Returns:
        The map with that calibration.

    Raises:
        NetvladError: the calibration cannot be written.
    """
    if place_map.directory is not None:
        replace_entry(place_map.directory, place_map.map_id, 'calibration', calibration.to_dict())
    return replace(place_map, calibration=calibration)


def read_thumbnail(place_map: PlaceMap, index: int) -> NDArray[np.uint8] | None:
    """Thumbnail of the place in row `index`.

    Returns:
        uint8 (h, w, 3) RGB, or None if the place has no thumbnail.

    Raises:
        NetvladError: the file is missing, changed or no image.
    """
    if place_map.directory is None or not place_map.thumbnail_hashes[index]:
        return None
    path = thumbnail_path(place_map.directory, int(place_map.place_ids[index]))
    where = f'map {place_map.directory}'
    jpeg = read_bounded(path, MAX_THUMBNAIL_BYTES, where)
    if sha256(jpeg) != place_map.thumbnail_hashes[index]:
        raise NetvladError(f'{where}: {path.name} was changed since the map was built')
    return decode_image(jpeg, f'{where}: {path.name}')


def _mapped_features(directory: Path, index: Mapping[str, Any], places: int) -> FeatureStore | None:
    if index.get('features') is None:
        return None
    return FeatureStore.load(directory, index, places, f'map {directory}')
