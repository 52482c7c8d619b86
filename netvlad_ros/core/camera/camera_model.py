"""CameraModel: from pixels to rays and back, with the distortion models of ROS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from netvlad_ros.core.camera.image import check_size
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array

# Distortion model, named as in sensor_msgs/distortion_models.hpp -> valid numbers of coefficients.
COEFFICIENTS = {
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (8, 12, 14),
    'equidistant': (4,),  # the fisheye model of Kannala and Brandt
}
FOCAL_SHARES = (0.02, 500.0)  # least and largest focal length, in larger sides of the image
MAX_NUMBER = 1e6  # largest entry of K [px] and largest coefficient
ASPECT_TOLERANCE = 0.01
MAX_ERROR_PX = 0.5  # of a pixel that was undistorted and projected again
CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-9)


@dataclass(frozen=True, eq=False)
class CameraModel:
    """Intrinsic calibration of a camera; centres of pixels lie at whole numbers.

    Attributes:
        width: of the image [px].
        height: of the image [px].
        K: float64 (3, 3), [fx 0 cx; 0 fy cy; 0 0 1] [px].
        distortion_model: one of COEFFICIENTS.
        d: float64 (n,), coefficients of the distortion model.
    """

    width: int
    height: int
    K: Array
    distortion_model: str
    d: Array

    @classmethod
    def create(
        cls, width: int, height: int, K: ArrayLike, distortion_model: str, d: ArrayLike
    ) -> CameraModel:
        """Make a camera model and check it.

        Args:
            width: of the image [px].
            height: of the image [px].
            K: (3, 3) [px], or its 9 numbers row by row.
            distortion_model: one of COEFFICIENTS; '' with coefficients of zero: no distortion.
            d: (n,), coefficients.

        Raises:
            NetvladError: the size, K or the coefficients are impossible, or the model is unknown.
        """
        check_size(width, height, 'the image of the camera calibration')
        try:
            K = np.array(K, dtype=np.float64).reshape(3, 3)
            d = np.array(d, dtype=np.float64).reshape(-1)
        except (TypeError, ValueError, OverflowError) as error:
            raise NetvladError(f'the camera calibration is malformed: {error}') from error
        if not (np.isfinite(K).all() and np.isfinite(d).all()):
            raise NetvladError('the camera calibration holds numbers that are not finite')
        if max(np.abs(K).max(), np.abs(d).max(initial=0.0)) > MAX_NUMBER:
            raise NetvladError(f'the camera calibration holds numbers above {MAX_NUMBER:g}')
        if K[0, 0] <= 0 or K[1, 1] <= 0:
            raise NetvladError(
                'the camera is not calibrated: its focal lengths are '
                f'{K[0, 0]:g} and {K[1, 1]:g} px, they must be above 0'
            )
        least, most = (share * max(width, height) for share in FOCAL_SHARES)
        if not least <= min(K[0, 0], K[1, 1]) <= max(K[0, 0], K[1, 1]) <= most:
            raise NetvladError(
                f'the camera calibration gives focal lengths {K[0, 0]:g} and {K[1, 1]:g} px, '
                f'no camera with {width}x{height} px has these'
            )
        if K[0, 1] or K[1, 0] or K[2, 0] or K[2, 1] or K[2, 2] != 1:
            raise NetvladError('K of a camera calibration must be [fx 0 cx; 0 fy cy; 0 0 1]')
        if not distortion_model and not d.any():
            distortion_model, d = 'plumb_bob', d[:0]
        if distortion_model not in COEFFICIENTS:
            raise NetvladError(
                f"the distortion model '{distortion_model}' is unknown; "
                f'known are {", ".join(COEFFICIENTS)}'
            )
        if len(d) not in COEFFICIENTS[distortion_model]:
            numbers = ' or '.join(map(str, COEFFICIENTS[distortion_model]))
            raise NetvladError(
                f'the distortion model {distortion_model} takes {numbers} coefficients, '
                f'the camera calibration gives {len(d)}'
            )
        return cls(int(width), int(height), K, distortion_model, d)

    def resized(self, width: int, height: int) -> CameraModel:
        """Calibration of the same camera with its images resized to width x height [px].

        Raises:
            NetvladError: the aspect ratios differ by more than 1 %: the image was cropped.
        """
        if (width, height) == (self.width, self.height):
            return self
        aspect = (width / self.width) / (height / self.height)
        if abs(aspect - 1) > ASPECT_TOLERANCE:
            raise NetvladError(
                f'an image of {width}x{height} px is not one of the camera that was calibrated '
                f'with {self.width}x{self.height} px: its shape differs; calibrate that camera'
            )
        K = resize_matrix((self.width, self.height), (width, height)) @ self.K
        return CameraModel.create(width, height, K, self.distortion_model, self.d)

    def rays(self, pixels: ArrayLike) -> Array:
        """Undistorted rays x/z and y/z, float64 (n, 2), of pixels (n, 2).

        NaN for a pixel to which the model maps no ray below 90 degrees.
        """
        pixels = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
        if not len(pixels):
            return np.empty((0, 2))
        column = np.nan_to_num(pixels, nan=-MAX_NUMBER)[:, None]
        if self.distortion_model == 'equidistant':
            rays = cv2.fisheye.undistortPoints(column, self.K, self.d, criteria=CRITERIA)
        else:
            rays = cv2.undistortPoints(column, self.K, self.d, criteria=CRITERIA)
        rays = rays.reshape(-1, 2)
        again = self.project(np.column_stack([rays, np.ones(len(rays))]))
        with np.errstate(invalid='ignore'):
            inverted: NDArray[np.bool_] = np.hypot(*(again - pixels).T) <= MAX_ERROR_PX
        return np.where(inverted[:, None], rays, np.nan)

    def project(self, points_cam: ArrayLike) -> Array:
        """Pixels, float64 (n, 2), with distortion, of points (n, 3) [m] in the camera's frame.

        NaN behind the camera, and for points so far to the side that the distortion would map them
        back into the image.
        """
        points = np.asarray(points_cam, dtype=np.float64).reshape(-1, 3)
        if not len(points):
            return np.empty((0, 2))
        with np.errstate(all='ignore'):
            rays = points[:, :2] / points[:, 2:]
            seen: NDArray[np.bool_] = (points[:, 2] > 0) & (np.hypot(*rays.T) < self._widest)
        column = np.column_stack([np.where(seen[:, None], rays, 0.0), np.ones(len(points))])
        zero = np.zeros(3)
        if self.distortion_model == 'equidistant':
            pixels, _ = cv2.fisheye.projectPoints(column[:, None], zero, zero, self.K, self.d)
        else:
            pixels, _ = cv2.projectPoints(column[:, None], zero, zero, self.K, self.d)
        return np.where(seen[:, None], pixels.reshape(-1, 2), np.nan)

    def agrees(self, other: CameraModel) -> bool:
        """Whether the rays of another calibration for this image size differ by less than 1 px."""
        across, down = (np.linspace(0, side - 1, 5) for side in (self.width, self.height))
        pixels = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        off = np.abs(self.rays(pixels) - other.rays(pixels)) * self.focal_px
        compared = np.isfinite(off).all(axis=1)  # at the border, one may have no ray
        return bool(compared.any() and off[compared].max() < 1.0)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image [px]."""
        return self.width, self.height

    @property
    def focal_px(self) -> float:
        """Mean of the two focal lengths [px]."""
        return float(self.K[0, 0] + self.K[1, 1]) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, as in `map.yaml`."""
        return {
            'width': self.width,
            'height': self.height,
            'K': self.K.ravel().tolist(),
            'distortion_model': self.distortion_model,
            'd': self.d.tolist(),
        }

    @classmethod
    def from_dict(cls, raw: Any) -> CameraModel:
        """Read what `to_dict` wrote. Raises NetvladError."""
        try:
            size, lists = (raw['width'], raw['height']), (raw['K'], raw['d'])
            model = raw['distortion_model']
        except (KeyError, TypeError) as error:
            raise NetvladError(f'the camera calibration is malformed: {error}') from error
        plain = all(type(side) is int for side in size) and isinstance(model, str)
        if not plain or not all(
            isinstance(numbers, list)
            and len(numbers) <= 16
            and all(type(number) in (int, float) for number in numbers)
            for numbers in lists
        ):
            raise NetvladError('the camera calibration is malformed: it is not made of numbers')
        return cls.create(*size, lists[0], model, lists[1])

    @cached_property
    def _widest(self) -> float:
        """Radius of a ray at which the distorted radius stops growing; infinite if never."""
        if self.distortion_model == 'equidistant':
            # The derivative of theta_d = theta (1 + k1 theta^2 + k2 theta^4 + ...), in theta^2.
            theta = np.sqrt(_first_root(np.array([1, *self.d] * np.arange(1, 10, 2))))
            return float(np.tan(theta)) if theta < np.pi / 2 else np.inf
        k = np.zeros(8)
        k[: min(len(self.d), 8)] = self.d[:8]
        if not k[5:].any():  # no denominator
            return float(np.sqrt(_first_root(np.array([1, *k[[0, 1, 4]]]) * np.arange(1, 8, 2))))
        above = np.polynomial.Polynomial([1, k[0], k[1], k[4]])  # in r^2
        below = np.polynomial.Polynomial([1, *k[5:]])
        square = np.polynomial.Polynomial([0, 2])
        slope = above * below + square * (above.deriv() * below - above * below.deriv())
        return float(np.sqrt(min(_first_root(slope.coef), _first_root(below.coef))))


def resize_matrix(before: tuple[int, int], after: tuple[int, int]) -> NDArray[np.float64]:
    """Matrix (3, 3) that maps pixels of an image to those of the same image resized.

    Centres of pixels lie at whole numbers, so the fixed point is the corner (-0.5, -0.5).

    Args:
        before: width and height [px].
        after: width and height [px].
    """
    sx, sy = after[0] / before[0], after[1] / before[1]
    return np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])


def _first_root(coefficients: ArrayLike) -> float:
    """Smallest positive real root of a polynomial, lowest power first; infinite without one."""
    roots = np.roots(np.asarray(coefficients, dtype=np.float64)[::-1])
    real = np.real(roots[np.abs(np.imag(roots)) < 1e-9])
    return float(min(real[real > 0], default=np.inf))
