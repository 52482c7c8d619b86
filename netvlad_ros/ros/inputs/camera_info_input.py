"""What is known about a live camera's optics: its camera_info, as a model of its images."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from netvlad_ros.core.camera.camera_info import camera_model_of
from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.ros.conversions import check_camera_info

MAX_TOLD = 20


class CameraInfoInput:
    """Keeps the last sound camera_info, and builds a model of it only when it or the image changes.

    state: in words, for diagnostics.
    """

    def __init__(self, topic: str, *, rectified: bool, warn: Callable[[str], None]) -> None:
        """rectified: of images without distortion, as image_proc makes them: P is their matrix.

        warn: tells a person, once for each trouble.
        """
        self.bad = 0
        self.last_bad = ''
        self.state = f'none has come on {topic}'
        self._rectified = rectified
        self._warn = warn
        self._message: Any = None
        self._key: tuple[Any, ...] = ()
        self._model: CameraModel | None = None
        self._trouble = ''
        self._told: set[str] = set()
        self._lock = threading.Lock()

    @property
    def is_known(self) -> bool:
        """Whether a sound camera_info has come."""
        return self._message is not None

    def received(self, message: Any) -> None:
        """Take a sensor_msgs/CameraInfo; one that describes no camera is counted, not kept."""
        try:
            check_camera_info(message)
        except NetvladError as error:
            self.bad += 1
            self.last_bad = str(error)
            self._tell(f'camera_info ignored: {error}')
            return
        self._message = message

    def model(self, width: int, height: int, frame_id: str) -> tuple[CameraModel | None, str]:
        """Model of an image of width x height [px] in frame_id, or None and why there is none.

        No reason where no camera_info came at all: that is no trouble.
        """
        message = self._message
        if message is None:
            return None, f'camera_info ignored: {self.last_bad}' if self.bad else ''
        key = (width, height, *_content(message))
        with self._lock:
            if key != self._key:
                self._key = key
                self._model, self._trouble = None, ''
                try:
                    full = camera_model_of(message, rectified=self._rectified)
                    self._model = full.resized(width, height)
                    self.state = f'in use: {self._model.distortion_model}, {width}x{height}'
                except NetvladError as error:
                    self._trouble = f'camera_info of no use: {error}'
                    self.state = self._trouble
                    self._tell(self._trouble)
            if frame_id and message.header.frame_id not in ('', frame_id):
                self._tell(
                    f"camera_info is of the frame '{message.header.frame_id}', the images are of "
                    f"'{frame_id}': is it of the same camera?",
                )
            return self._model, self._trouble

    def _tell(self, words: str) -> None:
        # Each once, and not without end where they hold numbers that change.
        if words not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(words)
            self._warn(words)


def _content(message: Any) -> tuple[Any, ...]:
    roi = message.roi
    return (
        message.width,
        message.height,
        message.binning_x,
        message.binning_y,
        roi.x_offset,
        roi.y_offset,
        roi.width,
        roi.height,
        message.distortion_model,
        tuple(message.d),
        tuple(message.k),
        tuple(message.p),
    )
