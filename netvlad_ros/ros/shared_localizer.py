"""SharedLocalizer: one localizer for all threads, an image in, the ROS answer out."""

from __future__ import annotations

import threading
import time

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.pose.prior import PosePrior
from netvlad_ros.ros.conversions import match_message, prior_message
from netvlad_ros.ros.inputs.camera_rig import FrameMounts, Rig
from netvlad_ros.ros.inputs.frame_context import FrameContext
from netvlad_ros.ros.inputs.odometry_input import OdometryInput
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.outputs.publishers import Answer


class SharedLocalizer:
    """Answers images on the map in service, one at a time, whichever thread asks.

    Attributes:
        localizer: The localizer in service. load_map replaces it while another thread may be
            inside a call; a method therefore reads this attribute once.
        rig: The mounts of the cameras.
    """

    def __init__(self, localizer: Localizer, rig: Rig) -> None:
        self.localizer = localizer
        self.rig = rig
        self._breaks = 0  # of the odometry of the last image that moved the belief
        self._lock = threading.Lock()

    def step(
        self,
        rgb: NDArray[np.uint8],
        context: FrameContext,
        config: NodeConfig,
        odometry: OdometryInput | None,
    ) -> Answer:
        """Localize an image of a stream; the image moves the belief.

        Verification gets what is left of the frame budget, counted from the image's reception.

        Args:
            rgb: uint8 (H, W, 3) RGB.
            context: What is known of the image.
            config: The configuration of the node.
            odometry: The odometry, or None if it is not used.

        Raises:
            NetvladError: The image cannot be localized.
        """
        with self._lock:
            localizer = self.localizer
            mounts = self.rig.mounts(context, localizer.place_map, config)
            # Under the lock: odometry is read in the order in which images move the belief.
            pose = None if odometry is None else odometry.at(context.stamp_ns)
            placement = self.rig.place(mounts, pose)
            spent_ms = 1e3 * (time.perf_counter() - context.received_s)
            time_left_ms = max(config.frame_budget_ms - spent_ms, 0.0)
            if placement.why_alone:
                match = localizer.recognize(
                    rgb,
                    context.stamp_ns,
                    camera=context.model,
                    camera_name=context.camera,
                    time_left_ms=time_left_ms,
                )
            else:
                T_odom_ref = placement.T_odom_ref
                if T_odom_ref is not None and pose is not None and pose.breaks != self._breaks:
                    T_odom_ref = None  # a jump of the odometry is no motion
                    self.rig.motion = 'of no use: it went on from elsewhere'
                match = localizer.step(
                    rgb,
                    context.stamp_ns,
                    camera=context.model,
                    camera_name=context.camera,
                    T_odom_cam=T_odom_ref,
                    T_ref_cam=placement.T_ref_cam,
                    time_left_ms=time_left_ms,
                )
                if pose is not None:
                    self._breaks = pose.breaks
        return self._answer(match, mounts, placement.why_alone)

    def recognize(
        self, rgb: NDArray[np.uint8], context: FrameContext, config: NodeConfig
    ) -> Answer:
        """Localize one image without the belief, and leave the belief as it is.

        Verification has no time limit, because no next frame waits for this image.

        Args:
            rgb: uint8 (H, W, 3) RGB.
            context: What is known of the image.
            config: The configuration of the node.

        Raises:
            NetvladError: The image cannot be localized.
        """
        with self._lock:
            localizer = self.localizer
            match = localizer.recognize(
                rgb, context.stamp_ns, camera=context.model, camera_name=context.camera
            )
        return self._answer(match, self.rig.mounts(context, localizer.place_map, config), '')

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

    def _answer(self, match: Match, mounts: FrameMounts, why_alone: str) -> Answer:
        context, place_map = mounts.context, mounts.place_map
        prior, no_prior = self._prior(match, mounts)
        notes = tuple(note for note in (context.trouble, why_alone, no_prior) if note)
        return Answer(
            match=match,
            message=match_message(match, context.header, place_map.frame_id, '; '.join(notes)),
            prior=prior,
            prior_message=None
            if prior is None
            else prior_message(prior, context.header.stamp, place_map.frame_id),
            place_map=place_map,
            notes=notes,
        )

    def _prior(self, match: Match, mounts: FrameMounts) -> tuple[PosePrior | None, str]:
        """The prior of base or camera, as `pose_of` says; else None and why there is none."""
        prior = match.prior
        if prior is None:
            return None, ''
        if mounts.config.pose_of == 'camera':
            self.rig.sources[mounts.context.camera] = 'not needed: pose_of is camera'
            return prior, ''
        try:
            return prior.of_base(self.rig.T_base_cam(mounts)), ''
        except NetvladError as error:
            return None, f'no prior: {error}'
