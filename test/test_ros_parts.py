"""The parts of the node that need ROS messages but no running node."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import node_process  # noqa: F401, skips where ROS or the messages are missing
import numpy as np
import pytest
import yaml
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo
from tiny_drive import pose

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import pose_vector
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.pose_prior import PosePrior
from netvlad_ros.ros.conversions import (
    check_camera_info,
    ns_to_stamp,
    path_of_url,
    prior_message,
    stamp_to_ns,
)
from netvlad_ros.ros.extrinsics import Extrinsics
from netvlad_ros.ros.fix_events import FixEvents
from netvlad_ros.ros.newest_frame import NewestFrame
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.parameters import ENTRIES

CONFIG = Path(__file__).resolve().parent.parent / 'config' / 'localize.yaml'
S = 10**9


def test_the_file_lists_every_parameter_with_its_default_and_unit():
    text = CONFIG.read_text()
    listed = yaml.safe_load(text)['/**']['netvlad']['ros__parameters']
    both = {**dataclasses.asdict(NodeConfig()), **dataclasses.asdict(LocalizerConfig())}
    defaults = {k: list(v) if isinstance(v, tuple) else v for k, v in both.items()}
    assert listed == defaults
    for name, entry in ENTRIES.items():
        assert entry.metadata['description'].endswith('.'), name
        assert type(listed[name]) is type(defaults[name]), f'{name}: ROS would refuse the type'
        line = re.search(rf'^ *{name}:.*#(.*)$', text, re.MULTILINE)
        assert line, f'{name} has no comment'
        assert entry.metadata['unit'] in line[1], name
        assert ('(fixed)' in line[1]) == entry.metadata.get('fixed', False), name


def test_no_parameter_has_two_homes():
    names = [f.name for c in (NodeConfig, LocalizerConfig) for f in dataclasses.fields(c)]
    assert len(names) == len(set(names))


def test_fix_events():
    events = FixEvents()
    assert events.step_s('', 10 * S) == 0
    assert events.is_event(10 * S, 5.0)
    assert events.is_event(11 * S, 5.0), 'nobody was listening yet'
    events.told()
    assert not events.is_event(12 * S, 5.0)
    assert not events.is_event(16 * S, 5.0)
    assert events.is_event(22 * S, 5.0), 'lost for six seconds'
    events.told()
    assert events.step_s('', 22 * S) == 12
    assert events.step_s('rear', 3 * S) == 0, 'each camera has a time of its own'
    assert events.step_s('', 3 * S) == -19


def test_newest_frame_replaces_the_one_that_waits():
    go, seen = threading.Event(), []

    def work(frame):
        seen.append(frame)
        go.wait(5)

    worker = NewestFrame(work)
    replaced = [worker.put(1)]
    while not seen:
        time.sleep(0.001)
    replaced += [worker.put(2), worker.put(3), worker.put(4)]
    go.set()
    while len(seen) < 2:
        time.sleep(0.001)
    worker.stop()
    assert seen == [1, 4]
    assert replaced == [False, False, True, True]


class FakeBuffer:
    """Knows one static mount, base_link <- camera."""

    def lookup_transform(self, target, source, when):
        if (target, source) != ('base_link', 'camera') or when.nanoseconds:
            raise LookupError('extrapolation')
        translation = SimpleNamespace(x=1.0, y=2.0, z=3.0)
        rotation = SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0)
        return SimpleNamespace(
            transform=SimpleNamespace(translation=translation, rotation=rotation)
        )


def test_extrinsics_in_order_and_never_guessed():
    extrinsics = Extrinsics.__new__(Extrinsics)
    extrinsics._buffer = FakeBuffer()
    extrinsics._mounts = lambda: {'front': None, 'rear': pose(x=7.0)}
    mounted = SimpleNamespace(T_base_cam=pose(x=9.0), camera_frame='camera')
    unmounted = SimpleNamespace(T_base_cam=None, camera_frame=None)
    given = NodeConfig(T_base_cam=(5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    stamp = Time(sec=7)

    def found(config, place_map, frame, camera=''):
        T, source = extrinsics.T_base_cam(config, place_map, camera, frame, stamp)
        return T[0, 3], source

    assert found(given, mounted, 'camera') == (5.0, 'parameter')
    assert found(NodeConfig(), mounted, 'camera') == (1.0, 'TF')
    extrinsics._buffer = None
    assert found(NodeConfig(), mounted, 'camera') == (9.0, 'map')
    assert found(NodeConfig(), mounted, '') == (9.0, 'map')
    with pytest.raises(NetvladError, match="'rear'"):
        found(NodeConfig(), mounted, 'rear')
    with pytest.raises(NetvladError, match='not known'):
        found(NodeConfig(), unmounted, 'camera')
    both = NodeConfig(cameras=('front', 'rear'))
    assert found(both, mounted, 'camera', 'front') == (9.0, 'map'), 'the reference camera'
    assert found(both, mounted, 'camera', 'rear') == (7.0, 'parameter')
    extrinsics._mounts = lambda: {}
    with pytest.raises(NetvladError, match=r'rear\.T_base_cam'):
        found(both, mounted, 'camera', 'rear')


@pytest.mark.parametrize('stamp_ns', [0, 1, S - 1, S, 1795253868 * S + 123456789, -1])
def test_stamps_keep_their_nanoseconds(stamp_ns):
    assert stamp_to_ns(ns_to_stamp(stamp_ns)) == stamp_ns


def test_stamps_beyond_ros_are_held_in_range():
    assert ns_to_stamp(10**30).sec == 2**31 - 1
    assert ns_to_stamp(-(10**30)).sec == -(2**31)


def test_prior_covariance_stays_within_what_consumers_take():
    tight = PosePrior(pose(x=1.0), np.zeros((6, 6)), 'landmarks')
    wide = PosePrior(pose(x=1.0), np.eye(6) * 1e12, 'landmarks')
    assert min(np.diag(np.reshape(prior_message(tight, Time(), 'map').pose.covariance, (6, 6)))) > 0
    assert max(prior_message(wide, Time(), 'map').pose.covariance) <= 1e9
    message = prior_message(
        PosePrior(pose(yaw_deg=200.0), np.eye(6), 'map_images'), Time(sec=3), 'map'
    )
    q = message.pose.pose.orientation
    assert abs(q.x**2 + q.y**2 + q.z**2 + q.w**2 - 1) < 1e-12
    assert (message.header.frame_id, message.header.stamp.sec) == ('map', 3)
    np.testing.assert_allclose([q.z, q.w], pose_vector(pose(yaw_deg=200.0))[5:])


def test_camera_info_is_checked():
    def info(**change):
        message = CameraInfo(width=640, height=480)
        message.k = np.array([500.0, 0, 320, 0, 500, 240, 0, 0, 1])
        for name, value in change.items():
            setattr(message, name, value)
        return message

    check_camera_info(info())
    for change in (
        {'d': [0.1, float('nan')]},
        {'p': np.full(12, np.inf)},
        {'width': 0},
        {'k': np.zeros(9)},
    ):
        with pytest.raises(NetvladError):
            check_camera_info(info(**change))


def test_map_urls():
    assert path_of_url('/maps/a') == Path('/maps/a')
    assert path_of_url('file:///maps/a') == Path('/maps/a')
    assert path_of_url('package://netvlad_ros/config').name == 'config'
    for url in ('', 'file://maps/a', 'https://maps/a', 'package://netvlad_ros/../x'):
        with pytest.raises(NetvladError):
            path_of_url(url)
