"""Small pictures of the mapped places, kept on disk until the map is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH_PX = 160
JPEG_QUALITY = 80


class ThumbnailStore(Mapping[int, bytes]):
    """Place index -> JPEG. The file has no name, so even a killed process leaves nothing."""

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
        scale = min(1.0, WIDTH_PX / width)
        size = (round(width * scale), max(round(height * scale), 1))
        bgr = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        self._spans[index] = (self._file.seek(0, 2), self._file.write(jpeg.tobytes()))

    def __getitem__(self, index: int) -> bytes:
        offset, length = self._spans[index]
        self._file.seek(offset)
        return self._file.read(length)

    def __iter__(self) -> Iterator[int]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)
