"""Features and thumbnails, kept on disk until the map is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import to_jpeg
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import FeatureSpec, LocalFeatures
from netvlad_ros.core.place_map.feature_store import FeatureStore

THUMBNAIL_WIDTH_PX = 160
THUMBNAIL_QUALITY = 80


class FeatureWriter:
    """Appends features to temporary files without a name; a killed process leaves nothing behind.

    A keyframe costs one number of memory, so that drives of any length fit.

    Args:
        spec: of the features.
        folder: where the files are. On the disk of the map, which needs the space anyway.
    """

    def __init__(self, spec: FeatureSpec, folder: Path) -> None:
        self._spec = spec
        self._folder = folder
        self._offsets = [0]
        self._keypoints: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, see __exit__
        self._descriptors: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._keypoints.close()
        self._descriptors.close()

    def add(self, features: LocalFeatures) -> None:
        """Keep the features of the next keyframe. Raises NetvladError."""
        try:
            self._keypoints.write(features.keypoints.tobytes())
            self._descriptors.write(features.descriptors.tobytes())
        except OSError as error:
            raise NetvladError(
                f'features cannot be kept in {self._folder}: {error.strerror}'
            ) from error
        self._offsets.append(self._offsets[-1] + len(features))

    def store(self) -> FeatureStore:
        """Everything kept so far, mapped from the files. Raises NetvladError."""
        total, spec = self._offsets[-1], self._spec
        return FeatureStore.create(
            spec,
            np.array(self._offsets, dtype=np.int64),
            _mapped(self._keypoints, np.dtype('<f4'), (total, 2)),
            _mapped(self._descriptors, spec.dtype, (total, spec.dim)),
        )


class ThumbnailStore(Mapping[int, bytes]):
    """Place index -> JPEG, in a temporary file without a name, as in FeatureWriter."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115, closed in __exit__
        self._spans: dict[int, tuple[int, int]] = {}

    def __enter__(self) -> ThumbnailStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, index: int, rgb: NDArray[np.uint8]) -> None:
        """Keep a small copy of rgb, uint8 (H, W, 3) RGB."""
        height, width = rgb.shape[:2]
        scale = min(1.0, THUMBNAIL_WIDTH_PX / width)
        size = (round(width * scale), max(round(height * scale), 1))
        jpeg = to_jpeg(rgb, THUMBNAIL_QUALITY, size)
        self._spans[index] = (self._file.seek(0, 2), self._file.write(jpeg))

    def __getitem__(self, index: int) -> bytes:
        offset, length = self._spans[index]
        self._file.seek(offset)
        return self._file.read(length)

    def __iter__(self) -> Iterator[int]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)


def _mapped(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, int]) -> NDArray[Any]:
    if not shape[0]:  # nothing to map
        return np.empty(shape, dtype)
    file.flush()
    return np.asarray(np.memmap(file, dtype=dtype, mode='r', shape=shape))
