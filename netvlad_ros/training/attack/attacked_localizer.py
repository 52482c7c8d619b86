"""The robot that an attack is shown to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap

RETRIEVAL, UNCALIBRATED, VERIFIED, STANDING, DRIVING = WAYS = (
    'retrieval',
    'uncalibrated',
    'verification',
    'standing',
    'driving',
)
LOOKS = 10  # of a robot that stands
BETWEEN_NS = 500_000_000


class Robot:
    """The localizer as it is shipped, asked in several ways.

    retrieval: an image alone, verification off. verification: alone, verification on.
    uncalibrated: the same, but nobody knows the camera, so no pose can be asked for. standing:
    from a cold start, belief on, the image seen LOOKS times while the odometry says that nothing
    moves. driving: belief on, the images of a stretch in order, from a cold start, without odometry
    that might contradict them.
    """

    def __init__(self, bundle: ModelBundle, place_map: PlaceMap) -> None:
        config = LocalizerConfig()
        self._plain = Localizer(bundle, place_map, replace(config, verification=False))
        self._whole = Localizer(bundle, place_map, config)

    def answers(
        self, images: Sequence[tuple[NDArray[np.uint8], int]], camera: CameraModel | None
    ) -> list[dict[str, list[Match]]]:
        """What it says of each image of a stretch, by WAYS; of many looks in order.

        images: uint8 (H, W, 3) RGB with their stamps [ns]. camera: which took them.
        """
        answers: list[dict[str, list[Match]]] = []
        self._whole.reset()
        for rgb, stamp_ns in images:
            alone, driving = self._whole.both(rgb, stamp_ns, camera=camera)
            plain = self._plain.recognize(rgb, stamp_ns, camera=camera)
            blind = self._whole.recognize(rgb, stamp_ns)
            answers.append(
                {RETRIEVAL: [plain], UNCALIBRATED: [blind], VERIFIED: [alone], DRIVING: [driving]}
            )
        for answer, (rgb, stamp_ns) in zip(answers, images, strict=True):
            self._whole.reset()
            answer[STANDING] = [
                self._whole.step(
                    rgb, stamp_ns + look * BETWEEN_NS, camera=camera, T_odom_cam=np.eye(4)
                )
                for look in range(LOOKS)
            ]
        # Features and matches of a verification are large, and not judged.
        return [
            {way: [replace(each, verification=None) for each in answer[way]] for way in WAYS}
            for answer in answers
        ]
