"""BagDrive: a rosbag2 recording. Poses are read first, then images are streamed one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.camera.image_message import rgb_from_compressed, rgb_from_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.bags.bag_camera import read_bag_camera
from netvlad_ros.offline.drives.bags.bag_file import BagFile
from netvlad_ros.offline.drives.bags.bag_poses import (
    CameraPoses,
    NoPoses,
    read_camera_poses,
    stamp_ns,
)
from netvlad_ros.offline.drives.camera_file import read_camera_model
from netvlad_ros.offline.drives.drive import Frame, selected_indices
from netvlad_ros.offline.drives.drive_options import DEFAULT_MAP_FRAME, BagOptions
from netvlad_ros.offline.progress import Skip

DECODERS: dict[str, Callable[[Any], NDArray[np.uint8]]] = {
    'sensor_msgs/msg/Image': rgb_from_image,
    'sensor_msgs/msg/CompressedImage': rgb_from_compressed,
}


class BagDrive:
    """Images of one topic in the order of recording, stamped by their headers."""

    def __init__(self, path: Path, options: BagOptions) -> None:
        """Choose the image topic and read all poses. Raises NetvladError if that fails."""
        self.path = path
        self.name = path.resolve().stem
        self._allow_truncated = options.allow_truncated
        with self._open() as bag:
            self.image_topic = _image_topic(bag, options.image_topic)
            topic = bag.topics()[self.image_topic]
            self._length = topic.messages
            self._decode = DECODERS[topic.msgtype]
            self.camera_frame = options.camera_frame or _camera_frame(bag, self.image_topic)
            self._poses: CameraPoses
            skipped: list[Skip] = []
            if options.without_poses:
                self._poses = NoPoses(options.map_frame or DEFAULT_MAP_FRAME)
            else:
                self._poses, unusable = read_camera_poses(bag, options, self.camera_frame or '')
                skipped += unusable
            if options.camera_file is None:
                self.camera, unusable = read_bag_camera(
                    bag, self.image_topic, options.camera_info_topic
                )
                skipped += unusable
            else:
                self.camera = read_camera_model(options.camera_file)
            self.skipped = tuple(skipped)
            self.notes = list(bag.notes)
        self.frame_id = self._poses.frame_id
        self.T_base_cam = self._poses.T_base_cam
        self.base_frame = self._poses.base_frame
        self._are_poses_wanted = not options.without_poses
        self._no_pose = (
            f'{self._poses.source}: not one on each side of the image, at most '
            f'{options.pose_tolerance_s:g} s apart (--pose-tolerance)'
        )

    def __len__(self) -> int:
        """Count the images, those without a pose included."""
        return self._length

    def frames(
        self, selection: slice = slice(None), skipped: list[Skip] | None = None
    ) -> Iterator[Frame]:
        """Stream the frames of a slice; one image is in memory at a time.

        An image that cannot be decoded, or whose stamp is not after the one before, is left out
        and added to `skipped`. An image without a pose is added too, and yielded with T_map_cam
        None.
        """
        skipped = [] if skipped is None else skipped
        wanted = selected_indices(selection, self._length)
        last_ns: int | None = None
        with self._open() as bag:
            for index, (_, message) in enumerate(bag.messages([self.image_topic])):
                if index >= wanted.stop:
                    break
                if index not in wanted:
                    continue
                if message is None:
                    name = f'{self.image_topic} message {index}'
                    skipped.append(Skip(name, 'the message cannot be decoded'))
                    continue
                now_ns = stamp_ns(message.header)
                image = f'{self.image_topic.strip("/")}/{now_ns}'
                if last_ns is not None and now_ns <= last_ns:
                    skipped.append(Skip(image, 'its stamp is not after the one before'))
                    continue
                last_ns = now_ns
                T_map_cam = self._poses.at(now_ns)
                if T_map_cam is None and self._are_poses_wanted:
                    skipped.append(Skip(image, self._no_pose))
                yield Frame(
                    index=index,
                    stamp_ns=now_ns,
                    image=image,
                    recording=self.name,
                    T_map_cam=T_map_cam,
                    read=partial(self._decode, message),
                )
            self.notes = list(bag.notes)

    def _open(self) -> BagFile:
        return BagFile(self.path, allow_truncated=self._allow_truncated)


def _image_topic(bag: BagFile, asked: str | None) -> str:
    topics = bag.topics()
    images = sorted(topic.name for topic in topics.values() if topic.msgtype in DECODERS)
    have = f'image topics: {", ".join(images) or "none"}'
    everything = f'all topics: {", ".join(sorted(topics)) or "none"}'
    if asked is not None:
        if asked not in topics:
            raise NetvladError(f'bag {bag.path} has no topic {asked}; {have}; {everything}')
        if asked not in images:
            raise NetvladError(
                f'bag {bag.path}: topic {asked} carries {topics[asked].msgtype}, no images; {have}'
            )
        return asked
    if not images:
        raise NetvladError(f'bag {bag.path} has no images; {everything}')
    if len(images) > 1:
        raise NetvladError(f'bag {bag.path} has several {have}; choose one with --image-topic')
    return images[0]


def _camera_frame(bag: BagFile, image_topic: str) -> str | None:
    for _, message in bag.messages([image_topic]):
        if message is not None:
            return message.header.frame_id.lstrip('/') or None
    raise NetvladError(f'bag {bag.path}: topic {image_topic} has no image that can be decoded')
