"""Camera, a pinhole, and its pose on the demo's vehicle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

# optical frame (x right, y down, z forward) in a body frame (x forward, y left, z up), REP-103
R_BODY_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class Camera:
    """Pinhole without distortion, with the principal point in the middle.

    Attributes:
        width: of the image [px].
        height: of the image [px].
        focal_px: focal length [px].
    """

    width: int = 320
    height: int = 240
    focal_px: float = 210.0

    @property
    def K(self) -> NDArray[np.float64]:
        """(3, 3) intrinsics; pixel centres at whole numbers."""
        return np.array([
            [self.focal_px, 0.0, (self.width - 1) / 2],
            [0.0, self.focal_px, (self.height - 1) / 2],
            [0.0, 0.0, 1.0],
        ])  # fmt: skip

    def supersampled(self, factor: float) -> NDArray[np.float64]:
        """(3, 3) intrinsics of the same view with `factor` times as many pixels a side."""
        shift = (factor - 1) / 2  # pixel (0, 0) covers 0..factor-1 of the finer image
        return np.diag([factor, factor, 1.0]) @ self.K + np.array(
            [[0, 0, shift], [0, 0, shift], [0, 0, 0]]
        )

    def project(self, points_cam: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 3) points in the optical frame [m] -> (N, 2) pixels."""
        p = points_cam @ self.K.T
        return p[:, :2] / p[:, 2:]


def _mounting() -> NDArray[np.float64]:
    T = np.eye(4)
    body = Rotation.from_euler('zy', [-34.0, 2.0], degrees=True).as_matrix()
    T[:3, :3] = body @ R_BODY_OPTICAL
    T[:3, 3] = (0.7, -0.15, 1.45)
    return T


# Ahead of base_link and above it, turned 34 degrees to the right and 2 degrees down.
T_BASE_CAM = _mounting()
