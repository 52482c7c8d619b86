"""CameraChecks: the checks of all cameras against one map."""

from __future__ import annotations

from collections import OrderedDict

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.verification.camera_check import CameraCheck

MOST_CALIBRATIONS = 4  # of one camera that are remembered: camera_info may go back and forth
MOST_CAMERAS = 64


class CameraChecks:
    """One CameraCheck for each camera and each calibration that it states.

    A calibration that really changes is checked from the start. One that comes back finds what was
    known of it, so calibrations that alternate do not begin anew forever.
    """

    def __init__(self) -> None:
        self._of: OrderedDict[str, OrderedDict[tuple[object, ...], CameraCheck]] = OrderedDict()

    def of(self, name: str, camera: CameraModel, of_map: CameraModel | None = None) -> CameraCheck:
        """The check of a camera.

        Args:
            name: of the camera; '' of the only one.
            camera: its calibration.
            of_map: the calibration that the map was built with; None if unknown.
        """
        checks = self._of.setdefault(name, OrderedDict())
        self._of.move_to_end(name)
        key = _content(camera)
        if key not in checks:
            checks[key] = CameraCheck(camera, of_map)
        checks.move_to_end(key)
        if len(checks) > MOST_CALIBRATIONS:
            checks.popitem(last=False)
        if len(self._of) > MOST_CAMERAS:
            self._of.popitem(last=False)
        return checks[key]

    def newest(self, name: str) -> CameraCheck | None:
        """The check of the calibration that a camera stated last; None before its first image."""
        checks = self._of.get(name)
        return checks[next(reversed(checks))] if checks else None


def _content(camera: CameraModel) -> tuple[object, ...]:
    numbers = (*camera.K.ravel().tolist(), *camera.d.tolist())
    return camera.width, camera.height, camera.distortion_model, *numbers
