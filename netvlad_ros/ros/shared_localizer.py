"""From pixels to the messages that answer them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from numpy.typing import NDArray

from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.ros.conversions import match_message, prior_message, stamp_to_ns
from netvlad_ros.ros.inputs.camera_rig import Rig
from netvlad_ros.ros.inputs.frame_context import FrameContext
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.outputs.publishers import Answer


class SharedLocalizer:
    """Answers images on the map in service, one at a time, whichever thread asks.

    localizer: replaced whole by load_map, while another thread may be inside, which therefore looks
    at it once.
    """

    def __init__(self, localizer: Localizer, rig: Rig) -> None:
        self.localizer = localizer
        self.rig = rig
        self._breaks = 0  # of the odometry of the last image that moved the belief
        self._lock = threading.Lock()

    def step(
        self,
        rgb: NDArray[np.uint8],
        shot: FrameContext,
        config: NodeConfig,
        with_motion: Callable[[FrameContext], FrameContext],
    ) -> Answer:
        """Localize rgb, uint8 (H, W, 3), of the stream; it moves the belief. Raises NetvladError.

        with_motion: adds the odometry, asked in the order in which the belief moves. Verification
        gets what is left of the frame budget, counted from the image's reception.
        """
        with self._lock:
            localizer, shot = self.localizer, with_motion(shot)
            placement = self.rig.place(shot, localizer.place_map, config)
            stamp_ns = stamp_to_ns(shot.header.stamp)
            spent_ms = 1e3 * (time.perf_counter() - shot.received_s)
            time_left_ms = max(config.frame_budget_ms - spent_ms, 0.0)
            if placement.alone:
                match = localizer.recognize(
                    rgb, stamp_ns, camera=shot.model, time_left_ms=time_left_ms
                )
            else:
                T_odom_ref = placement.T_odom_ref
                if T_odom_ref is not None and shot.odometry_breaks != self._breaks:
                    T_odom_ref = None  # the leap from the pose before is no motion
                    self.rig.motion = 'of no use: it went on from elsewhere'
                match = localizer.step(
                    rgb,
                    stamp_ns,
                    camera=shot.model,
                    T_odom_cam=T_odom_ref,
                    T_ref_cam=placement.T_ref_cam,
                    time_left_ms=time_left_ms,
                )
                if shot.T_odom_child is not None:
                    self._breaks = shot.odometry_breaks
        return self._answer(match, shot, localizer.place_map, config, placement.alone)

    def recognize(self, rgb: NDArray[np.uint8], shot: FrameContext, config: NodeConfig) -> Answer:
        """Localize rgb, uint8 (H, W, 3), by itself: the belief neither helps nor changes.

        No next frame waits for this one, so verification may take its time. Raises NetvladError.
        """
        with self._lock:
            localizer = self.localizer
            match = localizer.recognize(rgb, stamp_to_ns(shot.header.stamp), camera=shot.model)
        return self._answer(match, shot, localizer.place_map, config, '')

    def configure(self, config: LocalizerConfig) -> None:
        """Take a configuration into service, between two images. Raises NetvladError."""
        with self._lock:
            if config != self.localizer.config:
                self.localizer.config = config

    def reset(self) -> None:
        """Forget the belief."""
        with self._lock:
            self.localizer.reset()

    def close(self) -> None:
        """Stop listening to TF."""
        self.rig.close()

    def _answer(
        self, match: Match, shot: FrameContext, place_map: PlaceMap, config: NodeConfig, alone: str
    ) -> Answer:
        prior, no_prior = self._prior(match, shot, place_map, config)
        notes = tuple(note for note in (shot.trouble, alone, no_prior) if note)
        message = match_message(match, shot.header, place_map.frame_id, '; '.join(notes))
        return Answer(match, message, prior, place_map, notes)

    def _prior(
        self, match: Match, shot: FrameContext, place_map: PlaceMap, config: NodeConfig
    ) -> tuple[PoseWithCovarianceStamped | None, str]:
        prior = match.prior
        if prior is None:
            return None, ''
        if config.pose_of == 'base':
            try:
                prior = prior.of_base(self.rig.T_base_cam(shot, place_map, config))
            except NetvladError as error:
                return None, f'no prior: {error}'
        else:
            self.rig.sources[shot.camera] = 'not needed: pose_of is camera'
        return prior_message(prior, shot.header.stamp, place_map.frame_id), ''
