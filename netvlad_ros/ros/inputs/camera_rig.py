"""Poses of cameras, base and odometry relative to one another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, invert
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.ros.inputs.extrinsics import Extrinsics
from netvlad_ros.ros.inputs.frame_context import FrameContext
from netvlad_ros.ros.inputs.odometry_input import OdometryPose
from netvlad_ros.ros.node_config import NodeConfig


@dataclass
class FrameMounts:
    """Mounts of cameras on the robot at the stamp of one image; each is looked up once.

    A failed lookup is repeated when the mount is needed again, because TF may have arrived by then.

    Attributes:
        context: What is known of the image.
        place_map: The map on which the image is localized.
        config: The configuration of the node.
        reference_frame: frame_id of the reference camera's images; None before its first image.
        extrinsics: Where mounts are looked up.
    """

    context: FrameContext
    place_map: PlaceMap
    config: NodeConfig
    reference_frame: str | None
    extrinsics: Extrinsics

    @property
    def is_reference(self) -> bool:
        """Whether the image is of the reference camera."""
        return self.context.camera == self.config.reference

    @cached_property
    def camera(self) -> tuple[Array, str]:
        """T_base_cam (4, 4) of the image's camera, and its source. Raises NetvladError."""
        return self._look_up(self.context.camera, self.context.header.frame_id)

    @cached_property
    def reference(self) -> tuple[Array, str]:
        """T_base_ref (4, 4) of the reference camera, and its source. Raises NetvladError."""
        if self.is_reference:
            return self.camera
        name = self.config.reference
        T_base_ref, source = self._look_up(name, self.reference_frame or '')
        if self.reference_frame is None and source != 'parameter':
            # TF and map are asked by frame_id, which is known from the first image on.
            raise NetvladError(f"no image of the reference camera '{name}' has come")
        return T_base_ref, source

    def _look_up(self, camera: str, camera_frame: str) -> tuple[Array, str]:
        return self.extrinsics.T_base_cam(
            self.config, self.place_map, camera, camera_frame, self.context.header.stamp
        )


@dataclass(frozen=True)
class Placement:
    """Where cameras are at the stamp of one image.

    Attributes:
        T_odom_ref: The reference camera (4, 4) in the odometry frame; None: motion not known.
        T_ref_cam: This camera (4, 4) in the reference camera's frame; None: it is that camera.
        why_alone: '' if the camera's mount is known; otherwise why its images cannot be used for
            the pose of the reference camera.
    """

    T_odom_ref: Array | None
    T_ref_cam: Array | None
    why_alone: str


class Rig:
    """Finds where each image was taken from, as far as that is known.

    Attributes:
        sources: By camera, where its T_base_cam was found last, or 'unknown'.
        motion: Whether odometry was used for the last image, or why not.
    """

    def __init__(self, extrinsics: Extrinsics) -> None:
        self.sources: dict[str, str] = {}
        self.motion = 'none received'
        self._extrinsics = extrinsics
        self._reference_frame: str | None = None

    def mounts(self, context: FrameContext, place_map: PlaceMap, config: NodeConfig) -> FrameMounts:
        """The mounts at the stamp of an image; nothing is looked up yet."""
        frame = self._reference_frame
        if context.camera == config.reference:
            frame = context.header.frame_id
        return FrameMounts(context, place_map, config, frame, self._extrinsics)

    def place(self, mounts: FrameMounts, odometry: OdometryPose | None) -> Placement:
        """Where the image's camera and the reference camera are.

        Args:
            mounts: The mounts at the stamp of the image.
            odometry: The odometry at that stamp, or None.
        """
        self._reference_frame = mounts.reference_frame
        T_ref_cam = None
        if not mounts.is_reference:
            try:
                T_base_cam = self.T_base_cam(mounts)
                T_ref_cam = invert(mounts.reference[0]) @ T_base_cam
            except NetvladError as error:
                return Placement(None, None, f'taken alone, beside the belief: {error}')
        return Placement(self._T_odom_ref(mounts, odometry), T_ref_cam, '')

    def T_base_cam(self, mounts: FrameMounts) -> Array:
        """T_base_cam (4, 4) of the image's camera. Raises NetvladError if it is not known."""
        camera = mounts.context.camera
        try:
            T_base_cam, self.sources[camera] = mounts.camera
        except NetvladError:
            self.sources[camera] = 'unknown'
            raise
        return T_base_cam

    def close(self) -> None:
        """Stop listening to TF."""
        self._extrinsics.close()

    def _T_odom_ref(self, mounts: FrameMounts, odometry: OdometryPose | None) -> Array | None:
        if odometry is None:
            self.motion = 'none around the stamp of the last image'
            return None
        child, base = odometry.child_frame, mounts.config.base_frame_id
        T_odom_base = odometry.T_odom_child
        try:
            if child and child == self._reference_frame:
                self.motion = 'in use'
                return T_odom_base
            if child not in ('', base):
                stamp = mounts.context.header.stamp
                T_child_base = self._extrinsics.from_tf(child, base, stamp)
                if T_child_base is None:
                    raise NetvladError(f"odometry is of '{child}', and TF does not link '{base}'")
                T_odom_base = T_odom_base @ T_child_base
            T_base_ref, _ = mounts.reference
        except NetvladError as error:
            self.motion = f'of no use: {error}'
            return None
        self.motion = 'in use'
        return T_odom_base @ T_base_ref
