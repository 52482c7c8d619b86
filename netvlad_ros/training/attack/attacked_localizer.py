"""AttackedLocalizer: the localizer that attacked images are shown to, in several modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.features.extractor import FeatureExtractor
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap

RETRIEVAL, UNCALIBRATED, VERIFIED, STANDING, DRIVING = MODES = (
    'retrieval',
    'uncalibrated',
    'verification',
    'standing',
    'driving',
)
LOOKS = 10  # images of a standing robot
BETWEEN_NS = 500_000_000


class AttackedLocalizer:
    """The localizer with its default configuration, in several modes.

    - `retrieval`: a single image, verification off.
    - `verification`: a single image, verification on.
    - `uncalibrated`: as `verification`, but the camera is unknown, so there is no pose.
    - `standing`: belief on, from a cold start; the image is seen LOOKS times while the odometry
      reports no motion.
    - `driving`: belief on, from a cold start; the images of a stretch in order. There is no
      odometry, which could contradict the images.

    Args:
        bundle: that the robot runs.
        place_map: built with the bundle.
        extractor: of the map's features, needed only where they are of a feature bundle.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        place_map: PlaceMap,
        extractor: FeatureExtractor | None = None,
    ) -> None:
        config = LocalizerConfig()
        self._without_verification = Localizer(
            bundle, place_map, replace(config, verification=False), extractor=extractor
        )
        self._localizer = Localizer(bundle, place_map, config, extractor=extractor)

    def answers(
        self, images: Sequence[tuple[NDArray[np.uint8], int]], camera: CameraModel | None
    ) -> list[dict[str, list[Match]]]:
        """Answers to each image of a stretch, by mode; several answers are in order.

        Args:
            images: uint8 (H, W, 3) RGB, with their stamps [ns].
            camera: of the images; None if unknown.
        """
        answers: list[dict[str, list[Match]]] = []
        self._localizer.reset()
        for rgb, stamp_ns in images:
            verified, driving = self._localizer.both(rgb, stamp_ns, camera=camera)
            retrieval = self._without_verification.recognize(rgb, stamp_ns, camera=camera)
            uncalibrated = self._localizer.recognize(rgb, stamp_ns)
            answers.append(
                {
                    RETRIEVAL: [retrieval],
                    UNCALIBRATED: [uncalibrated],
                    VERIFIED: [verified],
                    DRIVING: [driving],
                }
            )
        for answer, (rgb, stamp_ns) in zip(answers, images, strict=True):
            self._localizer.reset()
            answer[STANDING] = [
                self._localizer.step(
                    rgb, stamp_ns + look * BETWEEN_NS, camera=camera, T_odom_cam=np.eye(4)
                )
                for look in range(LOOKS)
            ]
        # Features and matches of a verification are large and not needed.
        return [
            {mode: [replace(each, verification=None) for each in answer[mode]] for mode in MODES}
            for answer in answers
        ]
