"""Where a camera sits on the robot: from its parameter, TF or the map, and never a guess."""

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
    """Finds T_base_cam. TF is asked only where tf2_ros is installed.

    mounts: gives the parameters NAME.T_base_cam of the named cameras.
    """

    def __init__(self, ros_node: Node, mounts: Callable[[], Mapping[str, Array | None]]) -> None:
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
        """T_base_cam (4, 4) and where it is from. stamp: builtin_interfaces/Time of the image.

        camera: its name in the parameter `cameras`, '' of the only one. Raises NetvladError if the
        mount is not known.
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
            # The mapping camera's mount says nothing about another camera.
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
        """T_target_source (4, 4) at a builtin_interfaces/Time, else the newest; None: not known."""
        if self._buffer is None or not source:
            return None
        # At the image's time for a camera that pans; the newest one where TF lags behind the image.
        for when in (stamp, Time().to_msg()):
            try:
                found = self._buffer.lookup_transform(target, source, Time.from_msg(when))
            except Exception:  # of tf2 a family, of rclpy for stamps below 0: "not known then"
                continue
            t, q = found.transform.translation, found.transform.rotation
            return pose_matrix(np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w]))
        return None
