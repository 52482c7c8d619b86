"""CameraCheck: whether the calibration of a camera agrees with the landmarks that it sees."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.camera.intrinsics import (
    ASPECT,
    CENTRE_X,
    CENTRE_Y,
    FOCAL,
    RADIAL,
    intrinsics_of,
    with_intrinsics,
)
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.pose.free_calibration import FreeCalibration

# Standard deviations of an unchecked camera_info about the truth, see camera.intrinsics.
PRIOR_SIGMA = np.array([0.35, 0.1, 0.15, 0.15, 0.2])
# A view errs by more than its keypoints do, because the landmarks of a map err together. Measured
# in a kitchen, whose landmarks err by centimetres, on 19 views: errors of the intrinsics are 3 to 7
# times what the keypoints explain in the median, and 9 to 13 times in one of ten.
VARIANCE_SCALE = 20.0
FLOOR_SIGMA = np.array([0.03, 0.015, 0.02, 0.02, 0.02])
# Differences that the poses on a map can bear: they move a camera by a tenth of its distance.
TOLERANCE = np.array([0.12, 0.08, 0.08, 0.08, 0.12])
OWN_SHARE = 0.25  # of TOLERANCE: a calibration so near to that of the map is the same
SIGMAS_TO_AGREE = 2.0
SIGMAS_TO_CONTRADICT = 3.0
LEAST_VIEWS = 2  # one place may be mapped wrongly
MOST_VIEWS = 24  # the oldest is forgotten: a lens may change
OUTLIER = 3.0  # Mahalanobis distance per number, above which a view counts less
SAME_LANDMARKS = 0.5  # share of the landmarks
SAME_POSITION = 0.1  # image widths; an image with both in common with a view is no new one
EAGER_LOOKS = 12  # while nothing is known, so many images are looked at, later every tenth
RECHECK_EVERY = 10  # images


class CheckState(str, Enum):
    """What is known of a camera's calibration."""

    UNKNOWN = 'unknown'
    AGREES = 'agrees'
    CONTRADICTS = 'contradicts'


@dataclass(frozen=True)
class Sight:
    """What an image was matched to: where it shows which landmarks, right or wrong.

    Attributes:
        landmarks: int64 (n,), their numbers, unique and sorted.
        positions: (n, 2), in widths of the image.
    """

    landmarks: NDArray[np.int64]
    positions: Array

    @classmethod
    def of(cls, landmarks: NDArray[np.int64], pixels: NDArray[np.floating], width: int) -> Sight:
        """The sight of an image.

        Args:
            landmarks: int64 (n,), that it was matched to.
            pixels: (n, 2), where [px].
            width: of the image [px].
        """
        unique, first = np.unique(landmarks, return_index=True)
        return cls(unique, np.asarray(pixels, dtype=np.float64)[first] / width)

    def is_same(self, other: Sight) -> bool:
        """Whether another image shows mostly the same landmarks at the same positions."""
        shared, i, j = np.intersect1d(
            self.landmarks, other.landmarks, assume_unique=True, return_indices=True
        )
        if len(shared) <= SAME_LANDMARKS * min(len(self.landmarks), len(other.landmarks)):
            return False
        moved = np.linalg.norm(self.positions[i] - other.positions[j], axis=1)
        return float(np.median(moved)) < SAME_POSITION


class CameraCheck:
    """The check of one calibration of one camera against one map, over its images.

    Each independent view of the map's landmarks gives the intrinsics with which they agree. The
    views together, and a weak belief in the stated calibration, give the calibration that the map
    implies. An image that shows the same as a view before, as those of a robot that stands still,
    is no view of its own.

    The calibration that the map was built with agrees from the start: its landmarks were made with
    it. Views can contradict it too, as after another lens.

    Args:
        camera: the stated calibration.
        of_map: the calibration that the map was built with; None if unknown.

    Attributes:
        state: what is known.
        camera: the stated calibration.
    """

    def __init__(self, camera: CameraModel, of_map: CameraModel | None = None) -> None:
        self.camera = camera
        self._stated = intrinsics_of(camera)
        is_own = of_map is not None and bool(
            (np.abs(intrinsics_of(of_map) - self._stated) < OWN_SHARE * TOLERANCE).all()
        )
        self._first = CheckState.AGREES if is_own else CheckState.UNKNOWN
        self.state = self._first
        self._views: deque[tuple[Sight, FreeCalibration]] = deque(maxlen=MOST_VIEWS)
        self._images = self._looks = 0
        self._offset = np.zeros_like(PRIOR_SIGMA)  # of the implied calibration from the stated one
        self._covariance = np.diag(PRIOR_SIGMA**2)

    @property
    def views(self) -> int:
        """Independent views so far, at most MOST_VIEWS."""
        return len(self._views)

    def is_worth_looking(self, sight: Sight) -> bool:
        """Whether to look at an image; counts it.

        While nothing is known, an image is worth it if it is not the same as a view. Later, and
        after many looks in vain, every tenth image is.
        """
        self._images += 1
        if self._images % RECHECK_EVERY == 0:
            return True
        if self.state is not CheckState.UNKNOWN or self._looks >= EAGER_LOOKS:
            return False
        if any(sight.is_same(known) for known, _ in self._views):
            return False
        self._looks += 1
        return True

    def add(self, calibration: FreeCalibration, sight: Sight) -> None:
        """Add a view, or put it in the place of one that is the same.

        Args:
            calibration: what the image says.
            sight: what it was matched to.
        """
        for i, (known, _) in enumerate(self._views):
            if sight.is_same(known):
                del self._views[i]
                break
        self._views.append((sight, calibration))
        self._fuse()

    def implied(self, width: int, height: int) -> CameraModel:
        """The calibration that the views imply, for images of this size [px].

        Raises:
            NetvladError: the views imply no possible one, or the size has another shape.
        """
        return with_intrinsics(self.camera, self._stated + self._offset).resized(width, height)

    @property
    def uncertainty(self) -> Array:
        """Covariance (5, 5) of the truth about the implied calibration; zero once it agrees.

        What remains after the check has passed lies within what the covariance of landmark poses
        allows for the map itself.
        """
        agrees = self.state is CheckState.AGREES
        return np.zeros_like(self._covariance) if agrees else self._covariance

    @property
    def error(self) -> Array:
        """Second moment (5, 5) of the truth about the stated calibration; zero once it agrees."""
        if self.state is CheckState.AGREES:
            return np.zeros_like(self._covariance)
        return np.asarray(self._covariance + np.outer(self._offset, self._offset))

    @property
    def is_doubted(self) -> bool:
        """Whether a view, or several, gave clearly another calibration than the stated one."""
        return bool(self._views) and bool(self._is_off().any())

    @property
    def words(self) -> str:
        """What the map says of the calibration, for reasons and diagnostics."""
        if self.state is CheckState.AGREES:
            if self._first is CheckState.AGREES and len(self._views) < LEAST_VIEWS:
                return 'camera_info is the calibration of the map'
            return f'camera_info agrees with the map in {len(self._views)} views'
        if self.state is CheckState.CONTRADICTS:
            return f'camera_info contradicts the map: {self._difference()}'
        if not self._views:
            return 'camera_info is not yet confirmed by the map'
        return 'camera_info is not yet confirmed by the map' + (
            f': {self._difference()}' if self.is_doubted else ''
        )

    def _fuse(self) -> None:
        """Mean and covariance over the views and the prior, by reweighting."""
        information = np.array([_with_floor(view.information) for _, view in self._views])
        offsets = np.array([view.intrinsics for _, view in self._views]) - self._stated
        weights = np.ones(len(self._views))
        for _ in range(5):
            total = np.diag(PRIOR_SIGMA**-2.0) + np.einsum('v,vij->ij', weights, information)
            self._covariance = np.linalg.inv(total)
            self._offset = self._covariance @ np.einsum(
                'v,vij,vj->i', weights, information, offsets
            )
            off = offsets - self._offset
            distance = np.sqrt(np.einsum('vi,vij,vj->v', off, information, off) / len(PRIOR_SIGMA))
            weights = np.minimum(1.0, OUTLIER / np.maximum(distance, 1e-9)) ** 2
        self.state = self._judge()

    def _judge(self) -> CheckState:
        sigma = np.sqrt(np.diag(self._covariance))
        tolerance, offset = self._tolerance(), np.abs(self._offset)
        is_off = bool(self._is_off().any())
        if len(self._views) < LEAST_VIEWS:
            return CheckState.UNKNOWN if is_off else self._first
        if is_off:
            return CheckState.CONTRADICTS
        if (offset + SIGMAS_TO_AGREE * sigma <= tolerance).all():
            return CheckState.AGREES
        return self._first

    def _is_off(self) -> NDArray[np.bool_]:
        """Which intrinsics (5,) differ from the stated ones, more than poses can bear."""
        sigma, offset = np.sqrt(np.diag(self._covariance)), np.abs(self._offset)
        return (offset > self._tolerance()) & (offset > SIGMAS_TO_CONTRADICT * sigma)

    def _tolerance(self) -> Array:
        """TOLERANCE, of the radial coefficient as a share of the radius at the image's corner."""
        tolerance = TOLERANCE.copy()
        corner = 0.5 * np.hypot(1.0, self.camera.height / self.camera.width)
        radius = corner / np.exp(self._stated[FOCAL] + self._offset[FOCAL])
        tolerance[RADIAL] /= min(max(radius**2, 0.1), 1.0)
        return tolerance

    def _difference(self) -> str:
        """The most striking difference in words."""
        try:
            implied = with_intrinsics(self.camera, self._stated + self._offset)
        except NetvladError:
            return 'no calibration fits'
        ratio = np.abs(self._offset) / self._tolerance()
        worst = int(np.argmax(ratio))
        stated, looks = self.camera.K, implied.K
        if worst == FOCAL:
            return (
                f'the focal length looks like {implied.focal_px:.0f} px, '
                f'not {self.camera.focal_px:.0f}'
            )
        if worst == ASPECT:
            return (
                f'fx / fy looks like {looks[0, 0] / looks[1, 1]:.2f}, '
                f'not {stated[0, 0] / stated[1, 1]:.2f}'
            )
        if worst in (CENTRE_X, CENTRE_Y):
            return (
                f'the principal point looks like ({looks[0, 2]:.0f}, {looks[1, 2]:.0f}) px, '
                f'not ({stated[0, 2]:.0f}, {stated[1, 2]:.0f})'
            )
        return (
            f'the first distortion coefficient looks like {implied.d[0]:.2f}, '
            f'not {self._stated[RADIAL]:.2f}'
        )


def _with_floor(information: Array) -> Array:
    """Information (5, 5) of a view whose errors have the scale and the floor of a map's errors."""
    scaled = information / VARIANCE_SCALE
    floor = np.diag(FLOOR_SIGMA**2)
    # (I^-1 + F)^-1 without inverting I, which may be singular.
    return np.asarray(np.linalg.solve(np.eye(len(floor)) + scaled @ floor, scaled))
