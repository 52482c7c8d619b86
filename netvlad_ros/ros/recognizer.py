"""From pixels to the messages that answer them."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from numpy.typing import NDArray
from std_msgs.msg import Header

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.match import Match
from netvlad_ros.core.place_map import PlaceMap
from netvlad_ros.ros.conversions import match_message, prior_message, stamp_to_ns
from netvlad_ros.ros.extrinsics import Extrinsics
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.outputs import Answer


class Recognizer:
    """Answers images on the map in service.

    localizer: replaced whole by load_map, while another thread may be inside answer(), which
    therefore looks at it once. extrinsics: where T_base_cam was last found, or why not.
    """

    def __init__(self, localizer: Localizer, extrinsics: Extrinsics) -> None:
        self.localizer = localizer
        self.extrinsics = 'not needed yet'
        self._extrinsics = extrinsics

    def answer(self, rgb: NDArray[np.uint8], header: Header, config: NodeConfig) -> Answer:
        """Localize rgb, uint8 (H, W, 3); header: the image's. Raises NetvladError."""
        localizer = self.localizer
        match = localizer.step(rgb, stamp_to_ns(header.stamp))
        prior, note = self._prior(match, localizer.place_map, header, config)
        message = match_message(match, header, localizer.place_map.frame_id, note)
        return Answer(match, message, prior, localizer.place_map, note)

    def close(self) -> None:
        """Stop listening to TF."""
        self._extrinsics.close()

    def _prior(
        self, match: Match, place_map: PlaceMap, header: Any, config: NodeConfig
    ) -> tuple[PoseWithCovarianceStamped | None, str]:
        prior = match.prior
        if prior is None:
            return None, ''
        if config.pose_of == 'base':
            try:
                T_base_cam, self.extrinsics = self._extrinsics.T_base_cam(
                    config, place_map, header.frame_id, header.stamp
                )
            except NetvladError as error:
                self.extrinsics = 'unknown'
                return None, str(error)
            prior = prior.of_base(T_base_cam)
        else:
            self.extrinsics = 'not needed: pose_of is camera'
        return prior_message(prior, header.stamp, place_map.frame_id), ''
