"""AttackFolder: the images of an attack, which are reused when the same attack goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import write_whole

SETTINGS = 'settings.json'
MOST_BYTES = 1 << 20  # of the settings


class AttackFolder:
    """Attacked images as PNG, and the settings that they were made with.

    The folder is made with the first image.

    Args:
        path: a new folder, an empty one, or one of the same settings.
        settings: for JSON; all settings that decide the images.

    Raises:
        NetvladError: path holds something else.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self._settings = json.dumps(settings, indent=2, allow_nan=False)
        if not path.exists():
            return
        if not path.is_dir() or (any(path.iterdir()) and not (path / SETTINGS).is_file()):
            raise NetvladError(
                f'--out {path} exists, is not empty and holds no attack: choose another folder'
            )
        if (path / SETTINGS).is_file():
            self._check(path / SETTINGS, json.loads(self._settings))

    def image(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """Reads an image, uint8 (H, W, 3) RGB; None if there is no readable one of this shape."""
        try:
            stored = read_image(self.path / name)
        except NetvladError:
            return None
        return stored if stored.shape == shape else None

    def write(self, name: str, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Writes an image, uint8 (H, W, 3) RGB, as PNG and reads it back; raises NetvladError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NetvladError(f'{self.path} cannot be written: {error.strerror}') from error
        if not (self.path / SETTINGS).is_file():
            write_whole(self.path / SETTINGS, (self._settings + '\n').encode())
        _, png = cv2.imencode('.png', rgb[:, :, ::-1])
        write_whole(self.path / name, png.tobytes())
        return read_image(self.path / name)

    def _check(self, path: Path, wanted: dict[str, Any]) -> None:
        try:
            if path.stat().st_size > MOST_BYTES:
                raise ValueError
            stored = json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError, RecursionError):
            stored = None
        if not isinstance(stored, dict):
            raise NetvladError(f'{path} cannot be read: choose another folder for --out')
        other = [name for name in {**wanted, **stored} if wanted.get(name) != stored.get(name)]
        if other:
            raise NetvladError(
                f'--out {self.path} is not empty and holds an attack of other settings '
                f'({", ".join(map(str, other[:5]))}): choose another folder'
            )
