"""Index and rows of a PlaceMap as text for the map's files, and back with checks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, check_pose, mount_matrix, pose_matrices, pose_vector
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.core.place_map.feature_store import FEATURES_NAME
from netvlad_ros.core.place_map.map_files import FORMAT_VERSION, PLACES_HEADER, PLACES_NAME, sha256
from netvlad_ros.core.words import check_text

if TYPE_CHECKING:
    from netvlad_ros.core.place_map.place_map import PlaceMap

CALIBRATIONS = ('calibration', 'own_calibration')
MAX_SPACING_M = 1e5
MAX_STAMP_NS = 2**31 * 10**9 - 1  # what a ROS time can hold
DECIMALS = 9  # of metres; a map that is read and written again has the same text and map id


def map_index(place_map: PlaceMap) -> dict[str, Any]:
    """Entries of `map.yaml` without the hashes of files."""
    return {
        'format_version': FORMAT_VERSION,
        'map_id': place_map.map_id,
        'model_id': place_map.model_id,
        **({'model_settings': place_map.model_settings} if place_map.model_settings else {}),
        'places': len(place_map),
        'dim': int(place_map.descriptors.shape[1]),
        'frame_id': place_map.frame_id,
        'base_frame': place_map.base_frame,
        'camera_frame': place_map.camera_frame,
        'T_base_cam': None if place_map.T_base_cam is None else _pose_numbers(place_map.T_base_cam),
        'spacing_m': place_map.spacing_m,
        'spacing_deg': place_map.spacing_deg,
        'source': place_map.source,
        'created': place_map.created,
        **({} if place_map.features is None else {'features': place_map.features.entry()}),
        **{
            name: part.to_dict()
            for name in ('camera', 'stated_camera', *CALIBRATIONS)
            if (part := getattr(place_map, name)) is not None
        },
    }


def map_rows(place_map: PlaceMap) -> list[list[str]]:
    """Lines of places.csv, columns as PLACES_HEADER."""
    return [
        _place_row(
            int(place_map.place_ids[i]),
            place_map.recordings[i],
            int(place_map.stamps_ns[i]),
            place_map.T_map_cam[i],
            place_map.images[i],
            place_map.thumbnail_hashes[i],
        )
        for i in range(len(place_map))
    ]


def fingerprint(index: Mapping[str, Any], codes: NDArray[Any], rows: list[list[str]]) -> str:
    """SHA-256 (hex) over everything that determines a match and its meaning.

    Thumbnails, dates and the calibrations of the map are left out.

    Args:
        index: `map.yaml`; with the hashes of the features' files, if the map has features.
        codes: float32 or int8 (N, D), the descriptors as they are stored.
        rows: lines of places.csv, columns as PLACES_HEADER.
    """
    names = ('model_id', 'frame_id', 'base_frame', 'camera_frame', 'T_base_cam')
    table: list[Any] = [[index[name] for name in names], [row[:-1] for row in rows]]
    if index.get('features') is not None:
        hashes = [
            [name, entry.get('sha256')]
            for name, entry in sorted(index.get('files', {}).items())
            if str(name).startswith(f'{FEATURES_NAME}/') and isinstance(entry, dict)
        ]
        table.append([index['features'], index.get('camera'), hashes])
        if 'stated_camera' in index:
            table.append(index['stated_camera'])
    return sha256(sha256(codes.tobytes()).encode() + json.dumps(table).encode())


def parse_index(index: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of PlaceMap that are in `map.yaml`.

    Raises:
        KeyError, TypeError, ValueError, NetvladError: an entry is missing or wrong.
    """

    def text(name: str) -> str:
        if not isinstance(index[name], str):
            raise ValueError(f'{name} is no text')
        check_text(index[name])
        return str(index[name])

    extrinsics = index['T_base_cam']
    spacing = [float(index['spacing_m']), float(index['spacing_deg'])]
    if not (0 <= spacing[0] <= MAX_SPACING_M and 0 <= spacing[1] <= 180):  # false for nan too
        raise ValueError(
            f'the spacing of {spacing[0]:g} m, {spacing[1]:g} deg lies outside '
            f'0..{MAX_SPACING_M:g} m, 0..180 deg'
        )
    return {
        **{name: text(name) for name in ('map_id', 'model_id', 'frame_id', 'source', 'created')},
        'T_base_cam': None if extrinsics is None else _mount(extrinsics),
        'model_settings': text('model_settings') if 'model_settings' in index else '',
        'base_frame': None if index['base_frame'] is None else text('base_frame'),
        'camera_frame': None if index['camera_frame'] is None else text('camera_frame'),
        'spacing_m': spacing[0],
        'spacing_deg': spacing[1],
        **{
            name: None if index.get(name) is None else CameraModel.from_dict(index[name])
            for name in ('camera', 'stated_camera')
        },
        **{
            name: None if index.get(name) is None else _calibration(index, name)
            for name in CALIBRATIONS
        },
    }


def parse_rows(rows: list[list[str]]) -> dict[str, Any]:
    """Attributes of PlaceMap that are in places.csv. Raises NetvladError naming the line."""
    place_ids, stamps_ns, poses = [], [], []
    for number, row in enumerate(rows, start=2):
        try:
            if len(row) != len(PLACES_HEADER):
                raise ValueError(f'{len(row)} columns instead of {len(PLACES_HEADER)}')
            place_ids.append(_whole(row[0], 'place id', 2**62))
            stamps_ns.append(_whole(row[2], 'timestamp', MAX_STAMP_NS))
            poses.append([float(value) for value in row[3:10]])
            check_pose(poses[-1])
            check_text(row[11])
        except (ValueError, NetvladError) as error:
            raise NetvladError(f'{PLACES_NAME}, line {number}: {error}') from error
    return {
        'place_ids': np.array(place_ids, dtype=np.int64),
        'recordings': tuple(row[1] for row in rows),
        'stamps_ns': np.array(stamps_ns, dtype=np.int64),
        'images': tuple(row[10] for row in rows),
        'T_map_cam': pose_matrices(np.array(poses, dtype=np.float64).reshape(-1, 7)),
        'thumbnail_hashes': tuple(row[11] for row in rows),
    }


def _pose_numbers(T: Array) -> list[float]:
    """x, y, z [m], qx, qy, qz, qw of T (4, 4), as they are written."""
    return [round(value, DECIMALS) for value in pose_vector(T).tolist()]


def _place_row(
    place_id: int, recording: str, stamp_ns: int, T_map_cam: Array, image: str, thumbnail_hash: str
) -> list[str]:
    """One line of places.csv, columns as PLACES_HEADER."""
    pose = [f'{value:.{DECIMALS}f}' for value in pose_vector(T_map_cam)]
    return [str(place_id), recording, str(stamp_ns), *pose, image, thumbnail_hash]


def _calibration(index: Mapping[str, Any], name: str) -> MapCalibration:
    try:
        return MapCalibration.from_dict(index[name])
    except KeyError as error:
        raise ValueError(f'calibration lacks {error}') from error


def _mount(values: Sequence[Any]) -> Array:
    numbers = [float(value) for value in values]
    if len(numbers) != 7:
        raise ValueError(f'a pose has 7 numbers, not {len(numbers)}')
    return mount_matrix(numbers)


def _whole(text: str, name: str, most: int) -> int:
    number = int(text)
    if not 0 <= number <= most:
        raise ValueError(f'the {name} {number} lies outside 0..{most}')
    return number
