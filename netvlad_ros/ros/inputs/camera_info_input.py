"""CameraInfoInput: the last valid camera_info of a camera, as a camera model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from netvlad_ros.core.camera.camera_info import camera_model_of
from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.ros.conversions import check_camera_info

MAX_WARNINGS = 20


class CameraInfoInput:
    """Keeps the last valid camera_info, and builds a model of it when it or the image size changes.

    Attributes:
        bad: Number of messages that describe no camera.
        last_bad: Why the last of them was ignored.
        state: State in words, for diagnostics.
    """

    def __init__(self, topic: str, *, rectified: bool, warn: Callable[[str], None]) -> None:
        """Begin without camera_info.

        Args:
            topic: The topic of the camera_info, for messages.
            rectified: Whether the images are rectified, as image_proc publishes them; then P is
                their matrix.
            warn: Logs a warning; it is called once for each problem.
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
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    @property
    def is_known(self) -> bool:
        """Whether a valid camera_info has come."""
        return self._message is not None

    def received(self, message: Any) -> None:
        """Keep a sensor_msgs/CameraInfo; one that describes no camera is counted and ignored."""
        try:
            check_camera_info(message)
        except NetvladError as error:
            self.bad += 1
            self.last_bad = str(error)
            self._warn_once(f'camera_info ignored: {error}')
            return
        self._message = message

    def model(self, width: int, height: int, frame_id: str) -> tuple[CameraModel | None, str]:
        """The camera model of an image.

        Args:
            width: Width of the image [px].
            height: Height of the image [px].
            frame_id: frame_id of the image.

        Returns:
            The model and '', or None and why there is no model. The reason is '' if no camera_info
            has come at all, because that is no error.
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
                    self._warn_once(self._trouble)
            if frame_id and message.header.frame_id not in ('', frame_id):
                self._warn_once(
                    f"camera_info is of the frame '{message.header.frame_id}', the images are of "
                    f"'{frame_id}': is it of the same camera?",
                )
            return self._model, self._trouble

    def _warn_once(self, words: str) -> None:
        # Each warning once. Warnings that hold numbers may differ each time, hence the limit.
        if words not in self._warned and len(self._warned) < MAX_WARNINGS:
            self._warned.add(words)
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
