"""The poses of a drive that was not asked for any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class NoPoses:
    """Stands in for CameraPoses: no image has a pose."""

    frame_id: str
    T_base_cam: NDArray[np.float64] | None = None
    base_frame: str | None = None
    source: str = 'no poses were asked for'

    def at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """None, at any time."""
        return None
