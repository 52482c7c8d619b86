#!/usr/bin/env python3
"""Publish a drive to the localize node over DDS, count what comes back, and time it.

    . .venv/ros_env.sh
    python scripts/measure_node.py DRIVE MAP --slice 500:1000 --size 640x480 --rate 10 \\
        --reliability best_effort --json out.json

The node runs in its own process, started here. If the camera of the drive is known, camera_info is
published with the images, so that matches on a map with features are verified. Stamps are the time
of publication. The latency from stamp to prior therefore includes both transfers over DDS. The exit
code is 1 if an image was lost, that is, if the node did not publish a PlaceMatch with its stamp.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 100)))

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.ros.conversions import ns_to_stamp, stamp_to_ns
from netvlad_ros_msgs.msg import PlaceMatch

MAX_BYTES = 2**30  # of images held in memory; longer runs repeat them


class Meter(Node):
    """Publishes images, and records when the answers arrive."""

    def __init__(self, reliability: str) -> None:
        super().__init__('measure_node')
        wanted = {
            'best_effort': ReliabilityPolicy.BEST_EFFORT,
            'reliable': ReliabilityPolicy.RELIABLE,
        }[reliability]
        self.wanted = wanted
        self.publisher = self.create_publisher(
            Image, 'image', QoSProfile(depth=5, reliability=wanted)
        )
        self.infos = self.create_publisher(CameraInfo, 'camera_info', 5)
        self.matches: dict[int, tuple[float, PlaceMatch]] = {}
        self.priors: dict[int, float] = {}
        self.diagnostics: dict[str, str] = {}
        self.create_subscription(PlaceMatch, 'place_match', self._match, 100)
        self.create_subscription(PoseWithCovarianceStamped, 'pose_prior', self._prior, 100)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 10)

    def is_heard_as_wanted(self) -> bool:
        """Whether the node listens with the publisher's own reliability."""
        listeners = self.get_subscriptions_info_by_topic('image')
        return any(entry.qos_profile.reliability == self.wanted for entry in listeners)

    def _match(self, message: PlaceMatch) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self.matches[stamp_ns] = ((time.time_ns() - stamp_ns) / 1e6, message)

    def _prior(self, message: PoseWithCovarianceStamped) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self.priors[stamp_ns] = (time.time_ns() - stamp_ns) / 1e6

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics = {entry.key: entry.value for entry in status.values}


def images(options: argparse.Namespace) -> tuple[list[Image], CameraInfo | None]:
    """Image messages of the drive, resized if asked, and the calibration of their camera."""
    bounds = [int(part) if part else None for part in options.slice.split(':')]
    drive, messages = open_drive(options.source), []
    for frame in drive.frames(slice(*bounds)):
        rgb = frame.read()
        if options.size:
            width, height = (int(part) for part in options.size.split('x'))
            rgb = np.asarray(cv2.resize(rgb, (width, height)), dtype=np.uint8)
        message = Image(height=rgb.shape[0], width=rgb.shape[1], encoding='rgb8')
        message.header.frame_id = 'camera'
        message.step = 3 * message.width
        message.data = array.array('B', rgb.tobytes())
        messages.append(message)
        if len(messages) * rgb.nbytes > MAX_BYTES or len(messages) == options.count:
            break
    if not messages:
        raise NetvladError(f'{options.source} has no images in the slice {options.slice}')
    if drive.camera is None or options.no_camera_info:
        return messages, None
    return messages, info_message(drive.camera.resized(messages[0].width, messages[0].height))


def info_message(camera: CameraModel) -> CameraInfo:
    """sensor_msgs/CameraInfo of a camera model."""
    message = CameraInfo(width=camera.width, height=camera.height, d=camera.d.tolist())
    message.distortion_model, message.k = camera.distortion_model, camera.K.ravel()
    message.header.frame_id = 'camera'
    return message


def spin_until(node: Meter, done: Any, timeout_s: float) -> bool:
    """Spin until done() or the timeout; whether it was done."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if done():
            return True
        rclpy.spin_once(node, timeout_sec=0.02)
    return bool(done())


def measure(
    node: Meter, messages: list[Image], info: CameraInfo | None, options: argparse.Namespace
) -> dict[str, Any]:
    """Publish at the rate, wait for the answers, sum up."""
    if not spin_until(node, node.is_heard_as_wanted, 60.0):
        raise NetvladError('the node does not listen on image; see its messages above')
    spin_until(node, lambda: False, 1.0)
    sent: list[int] = []
    start = time.monotonic()
    for i in range(options.count):
        due = start + i / options.rate
        spin_until(node, lambda due=due: time.monotonic() >= due - 0.001, 10.0)
        message = messages[i % len(messages)]
        stamp_ns = time.time_ns()
        message.header.stamp = ns_to_stamp(stamp_ns)
        if info is not None:
            info.header.stamp = message.header.stamp
            node.infos.publish(info)
        node.publisher.publish(message)
        sent.append(stamp_ns)
    spin_until(node, lambda: len(node.matches) >= len(sent), 5.0)
    before = node.diagnostics
    spin_until(node, lambda: node.diagnostics is not before, 3.0)
    return summary(node, sent, messages[0], options)


def summary(
    node: Meter, sent: list[int], first: Image, options: argparse.Namespace
) -> dict[str, Any]:
    """What was counted and timed."""

    def percentiles(values: list[float]) -> dict[str, float] | None:
        if not values:
            return None
        return {f'p{p}': round(float(np.percentile(values, p)), 2) for p in (50, 99, 100)}

    matches = [node.matches[stamp] for stamp in sent if stamp in node.matches]
    return {
        'size': f'{first.width}x{first.height}',
        'rate_hz': options.rate,
        'reliability': options.reliability,
        'published': len(sent),
        'place_matches': len(matches),
        'priors': sum(stamp in node.priors for stamp in sent),
        'accepted': sum(match.status == PlaceMatch.ACCEPTED for _, match in matches),
        'verified': sum(match.inliers >= 0 for _, match in matches),
        'pose_methods': dict(Counter(match.pose_method for _, match in matches)),
        'stamp_to_match_ms': percentiles([latency for latency, _ in matches]),
        'stamp_to_prior_ms': percentiles(list(node.priors.values())),
        'stages_ms': stages(node.diagnostics),
        'node': node.diagnostics,
    }


def stages(diagnostics: dict[str, str]) -> dict[str, dict[str, float]]:
    """Milliseconds of each stage of the localizer, out of the node's diagnostics."""
    found: dict[str, dict[str, float]] = {}
    for name, value in diagnostics.items():
        words = re.fullmatch(r'stage (\w+) (p\d+) \[ms\]', name)
        if words and value:
            found.setdefault(words[1], {})[words[2]] = float(value)
    return found


def main() -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('source', type=Path, help='a drive: folder or rosbag2')
    parser.add_argument('map', type=Path, help='map folder')
    parser.add_argument('--model', default='', help='model bundle; default: the shipped one')
    parser.add_argument('--slice', default=':', help='images of the drive, START:STOP:STEP')
    parser.add_argument('--size', default='', help='resize to WIDTHxHEIGHT')
    parser.add_argument('--rate', type=float, default=10.0, help='[Hz]')
    parser.add_argument('--count', type=int, default=500, help='images to publish')
    parser.add_argument('--reliability', choices=['best_effort', 'reliable'], default='best_effort')
    parser.add_argument('--image-qos', default='auto', help="the node's parameter image_qos")
    parser.add_argument('--frame-budget-ms', type=float, help="the node's parameter")
    parser.add_argument('--no-camera-info', action='store_true', help='tell no calibration')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    try:
        messages, info = images(options)
    except NetvladError as error:
        print(f'measure_node: {error}', file=sys.stderr)
        return 1
    parameters = {
        'autostart': 'true',
        'pose_of': 'camera',
        'map': options.map.resolve(),
        'image_qos': options.image_qos,
        **({'model': Path(options.model).resolve()} if options.model else {}),
        **({'frame_budget_ms': budget} if (budget := options.frame_budget_ms) is not None else {}),
    }
    command = [sys.executable, '-m', 'netvlad_ros.ros.node', '--ros-args']
    for name, value in parameters.items():
        command += ['-p', f'{name}:={value}']
    process = subprocess.Popen(command)
    rclpy.init()
    node = Meter(options.reliability)
    try:
        metrics = measure(node, messages, info, options)
    except NetvladError as error:
        print(f'measure_node: {error}', file=sys.stderr)
        return 1
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        node.destroy_node()
        rclpy.try_shutdown()
    text = json.dumps(metrics, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + '\n', encoding='utf-8')
    lost = metrics['published'] - metrics['place_matches']
    if lost:
        print(f'measure_node: {lost} images got no answer', file=sys.stderr)
    return 1 if lost else 0


if __name__ == '__main__':
    sys.exit(main())
