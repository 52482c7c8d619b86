"""Publishes the images of a drive over DDS as a live camera would: a process of its own.

Every image is stamped with the moment it goes out; a log tells which image of the drive that was.
The node answers the newest image and lets others go, so on a machine that is too busy for the rate
this camera waits for the answer: the drive takes longer, and no image of it goes unasked.
"""

from __future__ import annotations

import argparse
import sys
import time
from array import array
from pathlib import Path

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.drive import Drive
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros_msgs.msg import PlaceMatch

_SUBSCRIBER_S = 60.0
_ANSWER_S = 2.0  # longest wait for the answer to an image
LINGER_S = 1.0  # time to deliver the last image before the publisher ends


class Replay(Node):
    """A camera that publishes recorded images."""

    def __init__(self, image_topic: str, info_topic: str, camera: CameraModel | None) -> None:
        """Make the publishers.

        Args:
            image_topic: Topic of the images.
            info_topic: Topic of the camera_info.
            camera: Content of the camera_info; None: no camera_info is published.
        """
        super().__init__('camera')
        self._camera = camera
        self._images = self.create_publisher(Image, image_topic, qos_profile_sensor_data)
        self._infos = self.create_publisher(CameraInfo, info_topic, qos_profile_sensor_data)
        self._answered_ns = 0
        self.create_subscription(PlaceMatch, '/place_match', self._note_answer, 10)

    def wait_for_subscriber(self) -> None:
        """Wait for a subscriber of the images. Raises NetvladError if there is none."""
        deadline = time.monotonic() + _SUBSCRIBER_S
        while not self._images.get_subscription_count():
            if time.monotonic() > deadline:
                raise NetvladError(f'nobody subscribes to {self._images.topic_name}')
            time.sleep(0.05)
        time.sleep(0.5)  # until both sides have discovered each other

    def publish(self, rgb: NDArray[np.uint8], frame: str) -> int:
        """Publish an image, stamped now, with camera_info.

        Args:
            rgb: uint8 (H, W, 3) RGB.
            frame: frame_id of the messages.

        Returns:
            The stamp [ns].
        """
        height, width = rgb.shape[:2]
        message = Image(height=height, width=width, encoding='rgb8', step=3 * width)
        message.data = array('B', rgb.tobytes())  # several times faster than assigning bytes
        now = self.get_clock().now()
        message.header.stamp, message.header.frame_id = now.to_msg(), frame
        self._images.publish(message)
        if self._camera is not None:
            self._infos.publish(self._info(message))
        return int(now.nanoseconds)

    def wait_for_answer(self, stamp_ns: int) -> None:
        """Wait for the answer to the image of this stamp [ns], but not longer than _ANSWER_S."""
        deadline = time.monotonic() + _ANSWER_S
        while self._answered_ns < stamp_ns and (left := deadline - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=left)

    def _note_answer(self, match: PlaceMatch) -> None:
        self._answered_ns = Time.from_msg(match.header.stamp).nanoseconds

    def _info(self, message: Image) -> CameraInfo:
        assert self._camera is not None
        K = self._camera.K
        return CameraInfo(
            header=message.header,
            height=self._camera.height,
            width=self._camera.width,
            distortion_model=self._camera.distortion_model,
            d=self._camera.d.tolist(),
            k=K.ravel().tolist(),
            r=np.eye(3).ravel().tolist(),
            p=np.hstack([K, np.zeros((3, 1))]).ravel().tolist(),
        )


def replay(drive: Drive, log: Path, rate_hz: float, node: Replay) -> None:
    """Publish every readable image of a drive.

    Args:
        drive: The drive.
        log: File of lines `index,stamp_ns`, one for each published image.
        rate_hz: Images per second, at most.
        node: The camera.

    Raises:
        NetvladError: Nobody subscribes to the images.
    """
    node.wait_for_subscriber()
    due, stamp_ns = time.monotonic(), 0
    with log.open('w', encoding='utf-8', buffering=1) as lines:
        for frame in drive.frames():
            try:
                rgb = frame.read()
            except NetvladError as error:
                print(f'skipped: {error}', file=sys.stderr)
                continue
            node.wait_for_answer(stamp_ns)
            time.sleep(max(0.0, due - time.monotonic()))
            # Lost time is not made up: no camera publishes faster than its rate.
            due = max(due, time.monotonic() - 0.5 / rate_hz) + 1.0 / rate_hz
            stamp_ns = node.publish(rgb, drive.camera_frame or 'camera')
            lines.write(f'{frame.index},{stamp_ns}\n')
    time.sleep(LINGER_S)


def main() -> int:
    """Publish a drive; the exit code is 0 if all images were published."""
    parser = argparse.ArgumentParser(prog='replay', description=__doc__)
    parser.add_argument('source', type=Path)
    parser.add_argument('--log', type=Path, required=True)
    parser.add_argument('--rate', type=float, default=10.0, help='images per second, at most')
    parser.add_argument('--image-topic', default='/camera/image_raw')
    parser.add_argument('--info-topic', default='/camera/camera_info')
    options = parser.parse_args()
    try:
        rclpy.init()
        drive = open_drive(options.source)
        node = Replay(options.image_topic, options.info_topic, drive.camera)
        replay(drive, options.log, options.rate, node)
    except NetvladError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
