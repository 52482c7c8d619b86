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
_ANSWER_S = 2.0  # longer than this no image is waited for
LINGER_S = 1.0  # for the last image to be delivered before the publisher goes


class Replay(Node):
    """A camera whose pictures were taken before."""

    def __init__(self, image_topic: str, info_topic: str, camera: CameraModel | None) -> None:
        """camera: what camera_info tells; None tells nothing."""
        super().__init__('camera')
        self._camera = camera
        self._images = self.create_publisher(Image, image_topic, qos_profile_sensor_data)
        self._infos = self.create_publisher(CameraInfo, info_topic, qos_profile_sensor_data)
        self._answered_ns = 0
        self.create_subscription(PlaceMatch, '/place_match', self._note_answer, 10)

    def wait_for_subscriber(self) -> None:
        """Raises NetvladError if nobody listens."""
        deadline = time.monotonic() + _SUBSCRIBER_S
        while not self._images.get_subscription_count():
            if time.monotonic() > deadline:
                raise NetvladError(f'nobody subscribes to {self._images.topic_name}')
            time.sleep(0.05)
        time.sleep(0.5)  # both sides have to know of each other

    def publish(self, rgb: NDArray[np.uint8], frame: str) -> int:
        """Publish uint8 (H, W, 3) RGB with camera_info, stamped now; the stamp [ns]."""
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
        """Let the image of this stamp be answered, or go on after a while without."""
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
    """Publish every readable image, at most rate_hz; log lines `index,stamp_ns`."""
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
            # What was lost is not caught up: no camera sends faster than its rate.
            due = max(due, time.monotonic() - 0.5 / rate_hz) + 1.0 / rate_hz
            stamp_ns = node.publish(rgb, drive.camera_frame or 'camera')
            lines.write(f'{frame.index},{stamp_ns}\n')
    time.sleep(LINGER_S)


def main() -> int:
    """Exit code 0 when all was published."""
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
