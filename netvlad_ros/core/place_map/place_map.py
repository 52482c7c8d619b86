"""PlaceMap: N places with descriptors, poses and features, and the checks of a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import (
    Array,
    distance_m,
    rotation_angle_deg,
)
from netvlad_ros.core.model.metadata import ModelMetadata
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.core.place_map.feature_store import FeatureStore
from netvlad_ros.core.place_map.map_files import PLACES_NAME
from netvlad_ros.core.words import check_text


@dataclass(frozen=True)
class PlaceMap:
    """N places, described by one model. Row i of every array belongs to place i.

    Attributes:
        map_id: SHA-256, hex, of what determines a match: see records.fingerprint; '' before the map
            is saved.
        model_id: SHA-256, hex, of the model that made the descriptors.
        frame_id: the map frame.
        descriptors: float32 (N, D), unit rows.
        place_ids: int64 (N,), unique.
        recordings: (N,), name of the recording that each place is from.
        stamps_ns: int64 (N,), when the image was taken [ns].
        images: (N,), name of the image.
        T_map_cam: float64 (N, 4, 4), camera optical frame in the map frame [m].
        thumbnail_hashes: (N,), SHA-256, hex; '' for a place without a thumbnail.
        T_base_cam: float64 (4, 4), camera optical frame in base_frame; None if unknown.
        base_frame: the robot's frame; None if unknown.
        camera_frame: the camera optical frame; None if unknown.
        source: the drive from which the map was built.
        created: when the map was built, ISO 8601.
        spacing_m: median distance between successive places of a recording [m].
        spacing_deg: median angle between successive places of a recording [deg].
        directory: the map folder; None for a map in memory.
        features: local features of every place, for verification; None without.
        camera: calibration of the camera that took the images; None if unknown.
        stated_camera: calibration that the drive stated, if it contradicted images and poses and
            was refined to `camera`; else None.
        calibration: what similarities, inliers and covariances mean on this map, by another drive;
            None if the map is not calibrated.
        own_calibration: what covariances mean on this map, by its own keyframes; None if it was not
            measured.
        model_settings: ModelMetadata.settings_id of that model; '' in maps that do not store it.
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
    own_calibration: MapCalibration | None = None
    model_settings: str = ''

    @classmethod
    def create(
        cls,
        *,
        model_id: str,
        model_settings: str = '',
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
        """Make a map of N >= 1 places, numbered from 0; it gets its map id when it is saved.

        The arguments are the attributes of the class.

        Raises:
            NetvladError: the arguments do not fit one another.
        """
        T_map_cam = np.asarray(T_map_cam, dtype=np.float64).reshape(-1, 4, 4)
        steps_m, steps_deg = _steps(T_map_cam, recordings)
        place_map = cls(
            map_id='',
            model_id=model_id,
            model_settings=model_settings,
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
        return place_map

    def __len__(self) -> int:
        return len(self.place_ids)

    def check_model(self, metadata: ModelMetadata, path: Path) -> None:
        """Raise NetvladError, saying how to build it again, if another model built the map.

        Args:
            metadata: of the model that is to be used.
            path: its file.
        """
        model_id = metadata.model_id
        if self.model_id != model_id:
            raise NetvladError(
                f'map {self.directory or self.map_id[:12]} was built with the model '
                f'{self.model_id[:12]}, {path} is {model_id[:12]}; load that model, or build the '
                f'map again with this one: netvlad map build DRIVE --out DIR --model {path}'
            )
        if self.model_settings and self.model_settings != metadata.settings_id:
            raise NetvladError(
                f'map {self.directory or self.map_id[:12]} was built with a model of the same '
                f'weights, but {path} has another calibration, size or output; load that model, '
                f'or build the map again with this one: netvlad map build DRIVE --out DIR '
                f'--model {path}'
            )

    def calibration_of(self, camera: CameraModel) -> CameraModel:
        """Calibration to use for a camera that states the calibration `camera`.

        A robot often sends the calibration with which the drive was recorded. If the map refined
        that one, the refined calibration holds for the robot's images too.
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


def check_map(place_map: PlaceMap, where: str) -> None:
    """Raise NetvladError unless the parts of a map fit; `where` names the map in errors."""
    n = len(place_map.place_ids)
    if n == 0:
        raise NetvladError(f'{where} has no places; nothing can be recognised with it')
    if place_map.descriptors.ndim != 2 or not (
        len(place_map.descriptors) == len(place_map.recordings) == len(place_map.images) == n
        and place_map.stamps_ns.shape == (n,)
        and place_map.T_map_cam.shape == (n, 4, 4)
    ):
        raise NetvladError(f'{where} has columns of different length')
    with np.errstate(over='ignore', invalid='ignore'):
        norms = np.linalg.norm(place_map.descriptors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1.0) < 1e-3))
    if len(wrong):
        raise NetvladError(
            f'{where}: the descriptor of place {place_map.place_ids[wrong[0]]} has the length '
            f'{norms[wrong[0]]:.4g}, not 1; build the map again'
        )
    poses = (
        place_map.T_map_cam
        if place_map.T_base_cam is None
        else [*place_map.T_map_cam, place_map.T_base_cam]
    )
    if not np.isfinite(poses).all():
        raise NetvladError(f'{where} holds poses that are not finite; build it again')
    if len(np.unique(place_map.place_ids)) != n:
        raise NetvladError(f'{where}: {PLACES_NAME} uses a place id twice; build it again')
    if not place_map.frame_id:
        raise NetvladError(f'{where} does not name its frame')
    try:
        for text in (place_map.frame_id, *set(place_map.recordings), *place_map.images):
            check_text(text)
    except ValueError as error:
        raise NetvladError(f'{where}: {error}; rename it in the drive') from error
    if place_map.features is not None and len(place_map.features) != n:
        raise NetvladError(f'{where} has features of {len(place_map.features)} places, not of {n}')


def _steps(T_map_cam: Array, recordings: Sequence[str]) -> tuple[Array, Array]:
    """Distance [m] and angle [deg] from each place to the next one of the same recording."""
    same = np.array([a == b for a, b in pairwise(recordings)], dtype=bool)
    before, after = T_map_cam[:-1][same], T_map_cam[1:][same]
    return distance_m(before, after), rotation_angle_deg(before, after)
