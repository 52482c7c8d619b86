"""The camera calibration of a bag: its camera_info."""

from __future__ import annotations

from itertools import islice

from netvlad_ros.core.camera.camera_info import camera_model_of, is_rectified, is_transport
from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.bags.bag_file import BagFile
from netvlad_ros.offline.drives.drive import NO_CALIBRATION
from netvlad_ros.offline.progress import Skip

CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
MAX_MESSAGES = 100  # tried until one is usable; each may lie in a chunk of its own


def read_bag_camera(
    bag: BagFile, image_topic: str, asked: str | None
) -> tuple[CameraModel | None, list[Skip]]:
    """Model of the camera of an image topic, by the first usable message of its camera_info.

    Args:
        bag: an open bag.
        image_topic: the topic of the images.
        asked: the topic of the camera_info; None: the image topic's sibling.

    Returns:
        The model, or None, and why a topic of camera_info gave none.

    Raises:
        NetvladError: the bag has no such topic as asked for.
    """
    topics = bag.topics()
    infos = sorted(topic.name for topic in topics.values() if topic.msgtype == CAMERA_INFO)
    if asked is not None and asked not in infos:
        raise NetvladError(
            f'bag {bag.path} has no topic {asked} with camera_info; '
            f'topics with camera_info: {", ".join(infos) or "none"}'
        )
    topic = asked or next((name for name in siblings(image_topic) if name in infos), None)
    if topic is None:
        return None, []
    problem = 'it has no message'
    for _, message in islice(bag.messages([topic]), MAX_MESSAGES):
        if message is None:
            problem = 'its messages cannot be decoded'
            continue
        try:
            return camera_model_of(message, rectified=is_rectified(image_topic)), []
        except NetvladError as error:
            problem = str(error)
    return None, [Skip(f'{topic} ({problem})', NO_CALIBRATION)]


def siblings(image_topic: str) -> list[str]:
    """Topics where image_transport looks for camera_info, the most likely first."""
    above = image_topic.rpartition('/')[0]
    if is_transport(image_topic):  # /camera/image_raw/compressed goes with /camera/camera_info
        return [f'{above.rpartition("/")[0]}/camera_info', f'{above}/camera_info']
    return [f'{above}/camera_info']
