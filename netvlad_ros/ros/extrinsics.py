"""Where the camera sits on the robot: from the parameter, TF or the map, and never a guess."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.time import Time

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, pose_matrix
from netvlad_ros.core.place_map import PlaceMap
from netvlad_ros.ros.node_config import NodeConfig


class Extrinsics:
    """Finds T_base_cam. TF is asked only where tf2_ros is installed."""

    def __init__(self, ros_node: Node) -> None:
        self._buffer: Any = None
        self._listener: Any = None
        try:
            from tf2_ros import Buffer, TransformListener
        except ImportError:
            return
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, ros_node)

    def T_base_cam(
        self, config: NodeConfig, place_map: PlaceMap, camera_frame: str, stamp: Any
    ) -> tuple[Array, str]:
        """T_base_cam (4, 4) and where it is from. stamp: builtin_interfaces/Time of the image.

        Raises NetvladError if it is not known.
        """
        given = config.extrinsics()
        if given is not None:
            return given, 'parameter'
        looked_up = self._from_tf(config.base_frame_id, camera_frame, stamp)
        if looked_up is not None:
            return looked_up, 'TF'
        of_map = place_map.camera_frame
        if place_map.T_base_cam is not None:
            # The mapping camera's mount says nothing about another camera.
            if not of_map or not camera_frame or of_map == camera_frame:
                return place_map.T_base_cam, 'map'
            raise NetvladError(
                f"no prior: the map knows the mount of camera '{of_map}', the image is of "
                f"'{camera_frame}'; set T_base_cam, or pose_of to camera"
            )
        raise NetvladError(
            f"no prior: the pose of camera '{camera_frame}' on the robot is not known from "
            'parameter, TF or map; set T_base_cam, or pose_of to camera'
        )

    def close(self) -> None:
        """Stop listening to TF."""
        if self._listener is not None:
            self._listener.unregister()

    def _from_tf(self, base_frame: str, camera_frame: str, stamp: Any) -> Array | None:
        if self._buffer is None or not camera_frame:
            return None
        # At the image's time for a camera that pans; the newest one where TF lags behind the image.
        for when in (Time.from_msg(stamp), Time()):
            try:
                found = self._buffer.lookup_transform(base_frame, camera_frame, when)
            except Exception:  # tf2 raises a family of C++ exceptions; each means "not known"
                continue
            t, q = found.transform.translation, found.transform.rotation
            return pose_matrix(np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w]))
        return None
