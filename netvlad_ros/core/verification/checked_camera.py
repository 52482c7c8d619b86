"""CheckedCamera: the calibration to use for an image, after the check against the map."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.features.matching import keypoint_cells
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.pose.absolute_pose import SIGMA_PX
from netvlad_ros.core.pose.free_calibration import free_calibration
from netvlad_ros.core.verification.camera_check import CameraCheck, CheckState, Sight
from netvlad_ros.core.verification.matched_image import MatchedImage, landmark_pairs


@dataclass(frozen=True)
class CheckedCamera:
    """The calibration of an image, as far as it may be used.

    Attributes:
        camera: calibration for images of that size; None if unknown or refused.
        note: '' or why the camera is unknown.
        problem: '' or what the check against the map has against the calibration.
        error: (5, 5), second moment of the error of its intrinsics, see camera.intrinsics; None:
            they are right.
    """

    camera: CameraModel | None
    note: str
    problem: str = ''
    error: Array | None = None

    def refused(self) -> CheckedCamera:
        """The same image without a calibration."""
        return CheckedCamera(None, self.problem, self.problem)


def checked_camera(check: CameraCheck, mode: str, size: tuple[int, int]) -> CheckedCamera:
    """The calibration to use by the state of a check.

    Args:
        check: of the stated calibration.
        mode: parameter camera_check, 'refuse' or 'estimate'.
        size: width and height of the image [px].
    """
    stated = check.camera.resized(*size)
    if check.state is CheckState.AGREES:
        return CheckedCamera(stated, '')
    problem = check.words
    if mode == 'estimate' and check.views:
        try:
            return CheckedCamera(check.implied(*size), '', problem, check.uncertainty)
        except NetvladError:
            return CheckedCamera(None, problem, problem)
    if check.is_doubted:
        return CheckedCamera(None, problem, problem)
    return CheckedCamera(stated, '', problem, check.error)


def look(
    check: CameraCheck,
    place_map: PlaceMap,
    config: LocalizerConfig,
    query: LocalFeatures,
    matched_images: list[MatchedImage],
    size: tuple[int, int],
) -> bool:
    """Let a check look at an image, if that is worth it.

    Args:
        check: gets what the image says.
        place_map: a map with landmarks.
        config: max_reprojection_px is used.
        query: features of the image.
        matched_images: the map images of the best place.
        size: width and height of the image [px].

    Returns:
        Whether it looked.
    """
    store = place_map.features
    if store is None:
        return False
    keypoint, landmark = landmark_pairs(store, matched_images).T
    sight = Sight.of(landmark, query.keypoints[keypoint], size[0])
    if not check.is_worth_looking(sight):
        return False
    camera = check.camera.resized(*size)
    starts = [camera]
    if place_map.camera is not None:
        with suppress(NetvladError):  # a camera of another shape is no start
            starts.append(place_map.camera.resized(*size))
    scale = store.spec.scale(*size)
    found = free_calibration(
        starts,
        query.keypoints[keypoint],
        store.points[landmark],
        keypoint_cells(query.keypoints)[keypoint],
        landmark,
        max_px=config.max_reprojection_px * scale * store.spec.inlier_factor,
        sigma_px=SIGMA_PX * scale,
    )
    if found is not None and np.isfinite(found.information).all():
        check.add(found, sight)
    return True
