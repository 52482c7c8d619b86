"""How the cameras, the base and the odometry of a robot stand to one another."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, invert
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.ros.inputs.extrinsics import Extrinsics
from netvlad_ros.ros.inputs.frame_context import FrameContext
from netvlad_ros.ros.node_config import NodeConfig


@dataclass(frozen=True)
class Placement:
    """T_odom_ref: the reference camera (4, 4) in the odometry frame, or None: motion not known.

    T_ref_cam: this camera (4, 4) in the reference camera's frame, or None: it is that one. alone:
    '', or why its images say nothing about where the reference camera is.
    """

    T_odom_ref: Array | None
    T_ref_cam: Array | None
    alone: str


class Rig:
    """Finds where each image was taken from, as far as that is known.

    sources: by camera, where its T_base_cam was last found, or 'unknown'. motion: whether odometry
    served the last image, or why not.
    """

    def __init__(self, extrinsics: Extrinsics) -> None:
        self.sources: dict[str, str] = {}
        self.motion = 'none received'
        self._extrinsics = extrinsics
        self._reference_frame: str | None = None

    def T_base_cam(self, shot: FrameContext, place_map: PlaceMap, config: NodeConfig) -> Array:
        """T_base_cam (4, 4) of the shot's camera. Raises NetvladError if it is not known."""
        self.sources[shot.camera] = 'unknown'
        T_base_cam, self.sources[shot.camera] = self._extrinsics.T_base_cam(
            config, place_map, shot.camera, shot.header.frame_id, shot.header.stamp
        )
        return T_base_cam

    def place(self, shot: FrameContext, place_map: PlaceMap, config: NodeConfig) -> Placement:
        """Where the shot's camera and the reference camera are, in each other and in odometry."""
        if shot.camera == config.reference:
            self._reference_frame = shot.header.frame_id
            return Placement(self._T_odom_ref(shot, place_map, config), None, '')
        try:
            T_base_cam = self.T_base_cam(shot, place_map, config)
            T_ref_cam = invert(self._T_base_ref(shot, place_map, config)) @ T_base_cam
        except NetvladError as error:
            return Placement(None, None, f'taken alone, beside the belief: {error}')
        return Placement(self._T_odom_ref(shot, place_map, config), T_ref_cam, '')

    def close(self) -> None:
        """Stop listening to TF."""
        self._extrinsics.close()

    def _T_base_ref(self, shot: FrameContext, place_map: PlaceMap, config: NodeConfig) -> Array:
        T_base_ref, source = self._extrinsics.T_base_cam(
            config, place_map, config.reference, self._reference_frame or '', shot.header.stamp
        )
        if self._reference_frame is None and source != 'parameter':
            # Its frame, of which TF or the map would have to tell, shows with its first image.
            raise NetvladError(f"no image of the reference camera '{config.reference}' has come")
        return T_base_ref

    def _T_odom_ref(
        self, shot: FrameContext, place_map: PlaceMap, config: NodeConfig
    ) -> Array | None:
        if shot.T_odom_child is None:
            self.motion = 'none around the stamp of the last image'
            return None
        child, base = shot.child_frame, config.base_frame_id
        T_odom_base = shot.T_odom_child
        try:
            if child and child == self._reference_frame:
                self.motion = 'in use'
                return T_odom_base
            if child not in ('', base):
                T_child_base = self._extrinsics.from_tf(child, base, shot.header.stamp)
                if T_child_base is None:
                    raise NetvladError(f"odometry is of '{child}', and TF does not link '{base}'")
                T_odom_base = T_odom_base @ T_child_base
            T_base_ref = self._T_base_ref(shot, place_map, config)
        except NetvladError as error:
            self.motion = f'of no use: {error}'
            return None
        self.motion = 'in use'
        return T_odom_base @ T_base_ref
