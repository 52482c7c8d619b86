"""ViewChange: how an image differs from a map image, as a similarity transform of their matches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A map image whose pose is used must show the same view. Measured in a kitchen without intrinsics,
# 20 images, up to five map images each:
#   shift    correlation    map images    turned by more than 30 degrees
#   <= 0.25  >= 0.97                40                                 0
#   <= 0.35  >= 0.80                72                                11
# From another side of the scene its positions are distorted, and the correlation falls.
MAX_SHIFT = 0.25  # share of the image's longer side
MIN_CORRELATION = 0.97
MAX_ZOOM = 1.6  # the distance to the things in view is a third smaller, or 1.6 times as large


@dataclass(frozen=True)
class ViewChange:
    """The similarity transform from the pixels of a map image to those of a query image.

    Attributes:
        roll_deg: clockwise turn of the content in the query image [deg]; its camera is turned the
            other way about the optical axis.
        shift: of the content, after the roll about the image's centre, in longer sides of
            the image.
        zoom: size of the content in the query image, as a share of that in the map image.
        correlation: 0..1, of the positions after the transform.
    """

    roll_deg: float
    shift: float
    zoom: float
    correlation: float

    @classmethod
    def of(
        cls,
        query_px: NDArray[np.floating],
        mapped_px: NDArray[np.floating],
        query_size: tuple[int, int],
        mapped_size: tuple[int, int],
    ) -> ViewChange:
        """Fit n >= 2 matches.

        Args:
            query_px: (n, 2), keypoints of the query image [px].
            mapped_px: (n, 2), the matched keypoints of the map image [px].
            query_size: width and height of the query image [px].
            mapped_size: width and height of the map image [px].

        Source:
            Umeyama, "Least-squares estimation of transformation parameters between two point
            patterns", TPAMI 1991.
        """
        query, mapped = (
            _in_sides(at, size) for at, size in ((query_px, query_size), (mapped_px, mapped_size))
        )
        off_query, off_mapped = (each - np.mean(each) for each in (query, mapped))
        product = complex(np.vdot(off_mapped, off_query))
        length = float(np.linalg.norm(off_query) * np.linalg.norm(off_mapped))
        turn = product / max(float(abs(product)), 1e-12)
        spread = [float(np.median(np.abs(each - _median(each)))) for each in (query, mapped)]
        return cls(
            roll_deg=math.degrees(np.angle(turn)),
            shift=abs(_median(query / turn - mapped)),
            zoom=spread[0] / max(spread[1], 1e-9),
            correlation=abs(product) / max(length, 1e-12),
        )

    @property
    def is_same_view(self) -> bool:
        """Whether both images were taken at about the same position in about the same direction.

        Without intrinsics no pose can be computed. The pose of the map image, turned by the roll,
        is then used instead, which is right only for the same view.
        """
        return (
            self.shift <= MAX_SHIFT
            and 1.0 / MAX_ZOOM <= self.zoom <= MAX_ZOOM
            and self.correlation >= MIN_CORRELATION
        )


def _in_sides(pixels: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.complex128]:
    """Positions from the image's centre, in longer sides of the image, as complex numbers."""
    return np.asarray((pixels - (np.array(size) - 1) / 2) @ np.array([1, 1j]) / max(size))


def _median(values: NDArray[np.complex128]) -> complex:
    """Median of both coordinates."""
    return complex(np.median(values.real), np.median(values.imag))
