"""Which calibration a query is seen with: its own, or that of the map, which may be mended."""

from __future__ import annotations

import numpy as np

from netvlad_ros.core.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError

SAME_RAYS = 0.01  # [tangent]; nearer to each other than this, two calibrations are one
SURE = 200  # inliers more than with the other calibration: no more need to try both
DOUBT = 50  # inliers; below, either may be right
REMEMBERED = 16  # cameras


class CameraChoice:
    """Learns over images which of two calibrations explains more landmarks.

    A map may have mended the calibration that its drive came with, and a robot still sends the old
    one. One image with few inliers cannot tell: it trades focal length for distance. So inliers
    are added up over all images of a camera.
    """

    def __init__(self) -> None:
        self._lead: dict[bytes, int] = {}  # of the map's calibration, in inliers

    def options(self, given: CameraModel, of_map: CameraModel | None) -> list[CameraModel]:
        """Calibrations to try, one or two of them: the query's own, that of the map."""
        if of_map is None:
            return [given]
        try:
            of_map = of_map.resized(given.width, given.height)
        except NetvladError:  # another shape of image: another camera
            return [given]
        if _agree(given, of_map):
            return [given]
        lead = self._lead.get(_key(given), 0)
        if abs(lead) >= SURE:
            return [of_map] if lead > 0 else [given]
        return [given, of_map]

    def prefers_map(self, given: CameraModel, with_given: int, with_map: int) -> bool:
        """Remember the inliers of one image with either calibration; whether the map's leads."""
        key = _key(given)
        if key not in self._lead and len(self._lead) >= REMEMBERED:
            self._lead.clear()
        self._lead[key] = self._lead.get(key, 0) + with_map - with_given
        return self._lead[key] > 0

    def is_open(self, given: CameraModel) -> bool:
        """Whether neither calibration leads clearly."""
        return abs(self._lead.get(_key(given), 0)) < DOUBT


def _key(camera: CameraModel) -> bytes:
    size = np.array([camera.width, camera.height], dtype=np.float64)
    return np.concatenate([size, camera.K.ravel(), camera.d]).tobytes()


def _agree(a: CameraModel, b: CameraModel) -> bool:
    """Whether two calibrations see the corners, edges and middle of an image alike."""
    x, y = np.meshgrid([0, a.width / 2, a.width - 1], [0, a.height / 2, a.height - 1])
    pixels = np.column_stack([x.ravel(), y.ravel()])
    off = np.abs(a.rays(pixels) - b.rays(pixels))
    return bool(off[np.isfinite(off)].max(initial=0.0) < SAME_RAYS)
