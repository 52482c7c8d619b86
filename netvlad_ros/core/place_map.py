"""PlaceMap: the mapped places, their descriptors and camera poses, on disk and in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.feature_store import FeatureStore
from netvlad_ros.core.files import atomic_directory
from netvlad_ros.core.geometry import (
    Array,
    distance_m,
    rotation_angle_deg,
)
from netvlad_ros.core.image import decode_image
from netvlad_ros.core.map_calibration import MapCalibration
from netvlad_ros.core.map_check import check_map
from netvlad_ros.core.map_files import (
    INDEX_NAME,
    MAX_THUMBNAIL_BYTES,
    read_bounded,
    read_map_files,
    replace_entry,
    sha256,
    thumbnail_path,
    write_map_files,
)
from netvlad_ros.core.map_records import (
    fingerprint,
    map_index,
    map_rows,
    parse_index,
    parse_rows,
)


@dataclass(frozen=True)
class PlaceMap:
    """N places seen by one model. Row i of every array belongs to place i.

    descriptors: float32 (N, D), unit rows. T_map_cam: float64 (N, 4, 4), camera optical frame in
    frame_id, metres. T_base_cam: (4, 4) camera in base_frame, None where unknown. spacing_m,
    spacing_deg: median step between successive places of a recording. stamps_ns: int64 (N,).
    features: local features of every place, for verification; camera: the one that saw them;
    stated_camera: what the drive said of it, where that contradicted images and poses and was
    mended; calibration: how far answers can be trusted; None where the map has none.
    """

    map_id: str
    model_id: str
    frame_id: str
    descriptors: NDArray[np.float32]
    place_ids: NDArray[np.int64]
    recordings: tuple[str, ...]
    stamps_ns: NDArray[np.int64]
    images: tuple[str, ...]
    T_map_cam: Array
    thumbnail_hashes: tuple[str, ...]
    T_base_cam: Array | None
    base_frame: str | None
    camera_frame: str | None
    source: str
    created: str
    spacing_m: float
    spacing_deg: float
    directory: Path | None = None
    features: FeatureStore | None = None
    camera: CameraModel | None = None
    stated_camera: CameraModel | None = None
    calibration: MapCalibration | None = None

    @classmethod
    def create(
        cls,
        *,
        model_id: str,
        frame_id: str,
        descriptors: NDArray[np.float32],
        recordings: Sequence[str],
        stamps_ns: Sequence[int] | NDArray[np.int64],
        images: Sequence[str],
        T_map_cam: Array,
        T_base_cam: Array | None = None,
        base_frame: str | None = None,
        camera_frame: str | None = None,
        source: str = '',
        features: FeatureStore | None = None,
        camera: CameraModel | None = None,
        stated_camera: CameraModel | None = None,
    ) -> PlaceMap:
        """Make a map of N >= 1 places, numbered from 0. Raises NetvladError on impossible input."""
        T_map_cam = np.asarray(T_map_cam, dtype=np.float64).reshape(-1, 4, 4)
        steps_m, steps_deg = _steps(T_map_cam, recordings)
        place_map = cls(
            map_id='',
            model_id=model_id,
            frame_id=frame_id,
            descriptors=np.ascontiguousarray(descriptors, dtype=np.float32),
            place_ids=np.arange(len(descriptors), dtype=np.int64),
            recordings=tuple(recordings),
            stamps_ns=np.asarray(stamps_ns, dtype=np.int64),
            images=tuple(images),
            T_map_cam=T_map_cam,
            thumbnail_hashes=('',) * len(descriptors),
            T_base_cam=T_base_cam,
            base_frame=base_frame,
            camera_frame=camera_frame,
            source=source,
            created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
            spacing_m=float(np.median(steps_m)) if len(steps_m) else 0.0,
            spacing_deg=float(np.median(steps_deg)) if len(steps_deg) else 0.0,
            features=features,
            camera=camera,
            stated_camera=stated_camera,
        )
        check_map(place_map, 'the new map')
        map_id = fingerprint(map_index(place_map), place_map.descriptors, map_rows(place_map))
        return replace(place_map, map_id=map_id)

    def __len__(self) -> int:
        return len(self.place_ids)

    def save(
        self,
        directory: Path | str,
        *,
        thumbnails: Mapping[int, bytes] | None = None,
        overwrite: bool = False,
    ) -> PlaceMap:
        """Write the map, whole or not at all; returns it as it stands on disk.

        thumbnails: place index -> JPEG bytes. Raises NetvladError if the directory exists and
        overwrite is False, or if it exists and is no map.
        """
        directory = Path(directory)
        if directory.exists() and not (directory / INDEX_NAME).is_file():
            raise NetvladError(f'{directory} exists and is no map; choose another folder')
        hashes = list(self.thumbnail_hashes)
        with atomic_directory(directory, overwrite=overwrite) as temporary:
            for i, jpeg in (thumbnails or {}).items():
                path = thumbnail_path(temporary, int(self.place_ids[i]))
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(jpeg)
                hashes[i] = sha256(jpeg)
            saved = replace(self, thumbnail_hashes=tuple(hashes), directory=directory)
            rows = map_rows(saved)
            files = {} if self.features is None else self.features.save(temporary)
            index = {**map_index(saved), 'files': files}
            saved = replace(saved, map_id=fingerprint(index, self.descriptors, rows))
            index = {**index, 'map_id': saved.map_id}
            write_map_files(temporary, index, self.descriptors, rows)
        return replace(saved, features=_mapped_features(directory, index, len(self)))

    @classmethod
    def load(cls, directory: Path | str) -> PlaceMap:
        """Read and check a map: versions, hashes, shapes, unit rows, finite poses.

        Raises NetvladError with one sentence that says what is wrong and what to do.
        """
        directory = Path(directory)
        where = f'map {directory}'
        files = read_map_files(directory)
        try:
            place_map = cls(
                descriptors=files.descriptors,
                directory=directory,
                **parse_index(files.index),
                **parse_rows(files.rows),
            )
        except KeyError as error:
            raise NetvladError(f'{where}: {INDEX_NAME} lacks the entry {error}') from error
        except (TypeError, ValueError, OverflowError) as error:
            raise NetvladError(f'{where}: {INDEX_NAME} is malformed: {error}') from error
        except NetvladError as error:
            raise NetvladError(f'{where}: {error}') from error
        features = _mapped_features(directory, files.index, len(place_map))
        place_map = replace(place_map, features=features)
        check_map(place_map, where)
        try:
            found = fingerprint(files.index, files.descriptors, files.rows)
        except (TypeError, ValueError, RecursionError):  # entries that JSON has no word for
            found = ''
        if found != place_map.map_id:
            raise NetvladError(f'{where}: its content is not what its map id says; build it again')
        return place_map

    def with_calibration(self, calibration: MapCalibration) -> PlaceMap:
        """Return this map with another calibration, which `map.yaml` keeps if the map is on disk.

        All else stays as it is, map_id included. Raises NetvladError if that cannot be written.
        """
        if self.directory is not None:
            replace_entry(self.directory, self.map_id, 'calibration', calibration.to_dict())
        return replace(self, calibration=calibration)

    def calibration_of(self, camera: CameraModel) -> CameraModel:
        """What is known of a camera that calls itself `camera`.

        The robot sends the very calibration that the drive was recorded with; where that was mended
        for the map, it is to be mended for the robot's images too.
        """
        if self.camera is None or self.stated_camera is None:
            return camera
        try:
            stated = self.stated_camera.resized(camera.width, camera.height)
            return (
                self.camera.resized(camera.width, camera.height)
                if stated.agrees(camera)
                else camera
            )
        except NetvladError:
            return camera

    def thumbnail(self, index: int) -> NDArray[np.uint8] | None:
        """Small picture of a place, uint8 (h, w, 3) RGB, or None where the map keeps none.

        Raises NetvladError if the file is missing, changed or no image.
        """
        if self.directory is None or not self.thumbnail_hashes[index]:
            return None
        path = thumbnail_path(self.directory, int(self.place_ids[index]))
        where = f'map {self.directory}'
        jpeg = read_bounded(path, MAX_THUMBNAIL_BYTES, where)
        if sha256(jpeg) != self.thumbnail_hashes[index]:
            raise NetvladError(f'{where}: {path.name} was changed since the map was built')
        return decode_image(jpeg, f'{where}: {path.name}')


def _mapped_features(directory: Path, index: Mapping[str, Any], places: int) -> FeatureStore | None:
    if index.get('features') is None:
        return None
    return FeatureStore.load(directory, index, places, f'map {directory}')


def _steps(T_map_cam: Array, recordings: Sequence[str]) -> tuple[Array, Array]:
    """Distance [m] and angle [deg] from each place to the next one of the same recording."""
    same = np.array([a == b for a, b in pairwise(recordings)], dtype=bool)
    before, after = T_map_cam[:-1][same], T_map_cam[1:][same]
    return distance_m(before, after), rotation_angle_deg(before, after)
