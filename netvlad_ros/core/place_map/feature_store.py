"""FeatureStore: local features of a map's places, and the landmarks that they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import MAX_SIDE_PX
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import FeatureSpec, LocalFeatures
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.place_map.array_file import map_array, write_array

FEATURES_NAME = 'features'
MAX_TOTAL = 2**31 - 1  # keypoints, landmarks
MAX_COORDINATE_M = 1e8
PIECE = 2**20  # rows that are checked at once


@dataclass(frozen=True, eq=False)
class FeatureStore:
    """Features of N places, M keypoints in total, and L landmarks.

    The arrays may be mapped from disk. Their files must not be changed in place; replacing the map
    folder is safe.

    Attributes:
        spec: how the features were made.
        offsets: int64 (N + 1,), place i has the keypoints offsets[i] to offsets[i + 1].
        keypoints: float32 (M, 2) [px].
        descriptors: (M, D), as in LocalFeatures.
        landmark_of: int32 (M,), the landmark that each keypoint shows, -1 for none; None if the map
            has no landmarks.
        points: float64 (L, 3), landmarks [m], in the map frame.
    """

    spec: FeatureSpec
    offsets: NDArray[np.int64]
    keypoints: NDArray[np.float32]
    descriptors: NDArray[Any]
    landmark_of: NDArray[np.int32] | None
    points: NDArray[np.float64]

    @classmethod
    def create(
        cls,
        spec: FeatureSpec,
        offsets: NDArray[np.int64],
        keypoints: NDArray[np.float32],
        descriptors: NDArray[Any],
    ) -> FeatureStore:
        """Make a store without landmarks. Raises NetvladError if the arrays do not fit."""
        store = cls(spec, offsets, keypoints, descriptors, None, np.empty((0, 3)))
        store._check('the new features')
        return store

    def with_landmarks(self, points: Array, landmark_of: NDArray[np.int32]) -> FeatureStore:
        """Add landmarks, points (L, 3) [m] and landmark_of (M,). Raises NetvladError."""
        store = replace(
            self,
            points=np.ascontiguousarray(points, dtype=np.float64),
            landmark_of=np.ascontiguousarray(landmark_of, dtype=np.int32),
        )
        store._check('the new landmarks')
        return store

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def has_landmarks(self) -> bool:
        """Whether the map was built with landmarks."""
        return self.landmark_of is not None

    def features(self, index: int) -> LocalFeatures:
        """Features of the place in row `index` of the map; mapped ones are read from disk."""
        rows = self._rows(index)
        return LocalFeatures(np.array(self.keypoints[rows]), np.array(self.descriptors[rows]))

    def landmarks(self, index: int) -> NDArray[np.int32]:
        """Landmark of each keypoint of the place in row `index`, int32 (n,), -1 for none."""
        rows = self._rows(index)
        if self.landmark_of is None:
            return np.full(rows.stop - rows.start, -1, dtype=np.int32)
        return np.array(self.landmark_of[rows])

    def entry(self) -> dict[str, Any]:
        """Entry `features` of `map.yaml`."""
        landmarks = len(self.points) if self.has_landmarks else None
        return {**self.spec.to_dict(), 'keypoints': len(self.keypoints), 'landmarks': landmarks}

    def save(self, directory: Path) -> dict[str, dict[str, Any]]:
        """Write the folder `features` of a map; returns the entries of its files."""
        (directory / FEATURES_NAME).mkdir()
        arrays: dict[str, NDArray[Any]] = {
            'offsets': self.offsets,
            'keypoints': self.keypoints,
            'descriptors': self.descriptors,
        }
        if self.landmark_of is not None:
            arrays.update(landmark_of=self.landmark_of, points=self.points)
        return {
            file_name(name): write_array(directory / file_name(name), array)
            for name, array in arrays.items()
        }

    @classmethod
    def load(
        cls, directory: Path, index: Mapping[str, Any], places: int, where: str
    ) -> FeatureStore:
        """Map the features of a map into memory; all bytes are read once, for the hashes.

        Args:
            directory: the map folder.
            index: `map.yaml`.
            places: number of places of the map.
            where: name of the map in errors.

        Raises:
            NetvladError: a file is missing or damaged, or the arrays do not fit.
        """
        entry, files = index['features'], index.get('files')
        try:
            spec = FeatureSpec.from_dict(entry)
        except NetvladError as error:
            raise NetvladError(f'{where}: {error}') from error
        keypoints, landmarks = entry.get('keypoints'), entry.get('landmarks')
        for count in (keypoints, 0 if landmarks is None else landmarks):
            if type(count) is not int or not 0 <= count <= MAX_TOTAL:
                raise NetvladError(f'{where} gives an impossible number of features: {count}')

        def mapped(name: str, dtype: Any, *shape: int) -> NDArray[Any]:
            name = file_name(name)
            record = files.get(name) if isinstance(files, dict) else None
            return map_array(directory / name, record, dtype, shape, where)

        store = cls(
            spec=spec,
            offsets=mapped('offsets', '<i8', places + 1),
            keypoints=mapped('keypoints', '<f4', keypoints, 2),
            descriptors=mapped('descriptors', spec.dtype, keypoints, spec.dim),
            landmark_of=None if landmarks is None else mapped('landmark_of', '<i4', keypoints),
            points=np.empty((0, 3)) if landmarks is None else mapped('points', '<f8', landmarks, 3),
        )
        store._check(where)
        return store

    def _rows(self, index: int) -> slice:
        if not 0 <= index < len(self):
            raise IndexError(f'the map has no place {index}')
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def _check(self, where: str) -> None:
        spec, total = self.spec, len(self.keypoints)
        shapes: list[tuple[NDArray[Any], Any, tuple[int, ...]]] = [
            (self.offsets, np.int64, (max(len(self.offsets), 2),)),
            (self.keypoints, np.float32, (total, 2)),
            (self.descriptors, spec.dtype, (total, spec.dim)),
            (self.points, np.float64, (len(self.points), 3)),
        ]
        if self.landmark_of is not None:
            shapes.append((self.landmark_of, np.int32, (total,)))
        problem = ''
        if any(array.dtype != dtype or array.shape != shape for array, dtype, shape in shapes):
            problem = 'the arrays do not fit one another'
        elif self.offsets[0] != 0 or self.offsets[-1] != total or (np.diff(self.offsets) < 0).any():
            problem = 'the offsets do not lead through the keypoints in order'
        elif np.diff(self.offsets).max() > spec.max_keypoints:
            problem = f'a place has more than {spec.max_keypoints} keypoints'
        elif not _all_within(self.keypoints, -1, MAX_SIDE_PX):
            problem = 'a keypoint lies outside any image'
        elif self.landmark_of is not None and not _all_within(
            self.landmark_of, -1, len(self.points) - 1
        ):
            problem = 'a keypoint belongs to a landmark that does not exist'
        elif not _all_within(self.points, -MAX_COORDINATE_M, MAX_COORDINATE_M):
            problem = 'a landmark has no finite position'
        if problem:
            raise NetvladError(f'{where}: {FEATURES_NAME}: {problem}; build the map again')


def file_name(array: str) -> str:
    """Path of an array below the map folder."""
    return f'{FEATURES_NAME}/{array}.npy'


def _all_within(array: NDArray[Any], low: float, high: float) -> bool:
    """Whether all numbers lie in low..high; numbers that are not finite do not."""
    return all(bool(((piece >= low) & (piece <= high)).all()) for piece in _pieces(array))


def _pieces(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(array), PIECE):
        yield array[start : start + PIECE]
