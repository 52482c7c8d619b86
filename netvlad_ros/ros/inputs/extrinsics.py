"""Extrinsics: T_base_cam from the parameter, TF or the map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.time import Time

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, pose_matrix
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.ros.node_config import NodeConfig, mount


class Extrinsics:
    """Finds the mount of a camera on the robot; a mount that is not known is never guessed.

    TF is used only if tf2_ros is installed.
    """

    def __init__(self, ros_node: Node, mounts: Callable[[], Mapping[str, Array | None]]) -> None:
        """Listen to TF.

        Args:
            ros_node: The node that listens.
            mounts: Returns the parameters NAME.T_base_cam of the named cameras.
        """
        self._mounts = mounts
        self._buffer: Any = None
        self._listener: Any = None
        try:
            from tf2_ros import Buffer, TransformListener
        except ImportError:
            return
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, ros_node)

    def T_base_cam(
        self, config: NodeConfig, place_map: PlaceMap, camera: str, camera_frame: str, stamp: Any
    ) -> tuple[Array, str]:
        """Find the mount of a camera.

        Args:
            config: The configuration of the node.
            place_map: The map in service.
            camera: Name of the camera in the parameter `cameras`; '' of the only camera.
            camera_frame: frame_id of its images.
            stamp: builtin_interfaces/Time of the image.

        Returns:
            T_base_cam (4, 4), and its source: 'parameter', 'TF' or 'map'.

        Raises:
            NetvladError: The mount is not known.
        """
        given = self._mounts().get(camera) if camera else mount('T_base_cam', config.T_base_cam)
        if given is not None:
            return given, 'parameter'
        looked_up = self.from_tf(config.base_frame_id, camera_frame, stamp)
        if looked_up is not None:
            return looked_up, 'TF'
        of_map = place_map.camera_frame
        parameter = f'{camera}.T_base_cam' if camera else 'T_base_cam'
        if place_map.T_base_cam is not None and camera == config.reference:
            # The mount of the mapping camera is not the mount of another camera.
            if not of_map or not camera_frame or of_map == camera_frame:
                return place_map.T_base_cam, 'map'
            raise NetvladError(
                f"the map knows the mount of camera '{of_map}', the image is of '{camera_frame}'; "
                f'set {parameter}, or pose_of to camera'
            )
        raise NetvladError(
            f"the pose of camera '{camera_frame}' on the robot is not known from parameter, TF or "
            f'map; set {parameter}, or pose_of to camera'
        )

    def close(self) -> None:
        """Stop listening to TF."""
        if self._listener is not None:
            self._listener.unregister()

    def from_tf(self, target: str, source: str, stamp: Any) -> Array | None:
        """Look up a transform in TF.

        Args:
            target: The target frame.
            source: The source frame.
            stamp: builtin_interfaces/Time; if TF does not reach it, the newest transform is used.

        Returns:
            T_target_source (4, 4), or None if it is not known.
        """
        if self._buffer is None or not source:
            return None
        # The image's own time is right for a camera that pans.
        # The newest transform is used if TF lags behind the image.
        for when in (stamp, Time().to_msg()):
            try:
                found = self._buffer.lookup_transform(target, source, Time.from_msg(when))
            except Exception:  # several of tf2; of rclpy for stamps below 0: "not known then"
                continue
            t, q = found.transform.translation, found.transform.rotation
            return pose_matrix(np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w]))
        return None
