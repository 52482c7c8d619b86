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
from std_msgs.msg import Header
from tiny_drive import pose, write_drive
from tiny_local_model import write_tiny_local_model

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import pose_vector
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.pose.prior import PosePrior
from netvlad_ros.core.verification.camera_check import CheckState
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.mapping.feature_choice import FeatureChoice
from netvlad_ros.offline.mapping.map_builder import MapBuilder
from netvlad_ros.ros.conversions import (
    check_camera_info,
    ns_to_stamp,
    path_of_url,
    prior_message,
    stamp_to_ns,
)
from netvlad_ros.ros.diagnostics import Report, add_check
from netvlad_ros.ros.inputs.camera_info_input import CameraInfoInput
from netvlad_ros.ros.inputs.camera_rig import Rig
from netvlad_ros.ros.inputs.extrinsics import Extrinsics
from netvlad_ros.ros.inputs.frame_context import FrameContext
from netvlad_ros.ros.inputs.newest_frame import NewestFrame
from netvlad_ros.ros.inputs.odometry_input import OdometryPose
from netvlad_ros.ros.inputs.odometry_track import OdometryTrack
from netvlad_ros.ros.map_loading import MapLoadError, localizer_on_map
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.outputs import publishers
from netvlad_ros.ros.outputs.fix_events import Fix, FixEvents
from netvlad_ros.ros.outputs.visuals import MatchImage, draw_inliers
from netvlad_ros.ros.parameters import ENTRIES
from netvlad_ros.ros.session import Session
from netvlad_ros.ros.shared_localizer import SharedLocalizer

pytestmark = pytest.mark.alone

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


@pytest.mark.parametrize(
    ('mode', 'state', 'doubted', 'level'),
    [
        ('refuse', CheckState.CONTRADICTS, True, 'errors'),
        ('estimate', CheckState.CONTRADICTS, True, 'warnings'),
        ('refuse', CheckState.UNKNOWN, True, 'warnings'),
        ('refuse', CheckState.UNKNOWN, False, None),
        ('trust', CheckState.CONTRADICTS, True, None),
    ],
)
def test_diagnostics_say_what_the_map_says_of_camera_info(mode, state, doubted, level):
    check = SimpleNamespace(state=state, is_doubted=doubted, words='looks like 438 px')
    localizer = SimpleNamespace(
        config=LocalizerConfig(camera_check=mode),
        camera_checks=SimpleNamespace(newest={'rear': check}.get),
    )
    report = Report('active')
    for camera in ('rear', 'front'):
        add_check(report, camera, localizer)
    said = {'errors': report.errors, 'warnings': report.warnings}
    assert {name for name, words in said.items() if words} == ({level} if level else set())
    assert all(words in ([], ['rear: looks like 438 px']) for words in said.values())
    assert ('off' in report.values['rear: camera check']) == (mode == 'trust')
    assert set(report.values) == {'rear: camera check', 'front: camera check'}


def test_no_parameter_is_in_both_configurations():
    names = [f.name for c in (NodeConfig, LocalizerConfig) for f in dataclasses.fields(c)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ({'cameras': ('front', 'front')}, 'each once'),
        ({'cameras': tuple(f'c{i}' for i in range(17))}, 'at most 16'),
        ({'cameras': ('a/b',)}, 'names of letters'),
        ({'cameras': ('front',), 'T_base_cam': (0.0,) * 6 + (1.0,)}, r'front\.T_base_cam'),
        ({'T_base_cam': (0.0,) * 6 + (2.0,)}, 'T_base_cam: the quaternion'),
        ({'frame_budget_ms': -1.0}, 'frame_budget_ms'),
        ({'cameras': ('front', 'rear'), 'pose_of': 'camera'}, 'whose pose'),
    ],
)
def test_impossible_settings_are_named(given, words):
    with pytest.raises(NetvladError, match=words):
        NodeConfig(**given)
    with pytest.raises(NetvladError, match=r'camera_check .* one of refuse, estimate, trust'):
        LocalizerConfig(camera_check='never')


def test_fix_events():
    events = FixEvents()

    def is_event(stamp_s, x=0.0):
        return events.is_event(Fix(int(stamp_s * S), (x, 0.0, 0.0), 0.1), 5.0, 1.0)

    assert events.step_s('', 10 * S) == 0
    assert is_event(10)
    assert is_event(11), 'nobody was listening yet'
    events.published()
    assert not is_event(12)
    assert not is_event(16)
    assert is_event(22), 'lost for six seconds'
    events.published()
    assert not is_event(23, 1.0)
    assert not is_event(24, 50.0), 'it cannot be there: a wrong match?'
    assert not is_event(25, 3.0)
    assert not is_event(26, 50.0)
    assert not is_event(27, 90.0)
    assert is_event(28, 89.0), 'twice there: kidnapped'
    events.published()
    assert not is_event(29, 88.0)
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
    assert extrinsics.from_tf('base_link', 'camera', Time(sec=-1))[0, 3] == 1.0
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


def info(**change):
    message = CameraInfo(width=640, height=480, distortion_model='plumb_bob', d=[0.0] * 5)
    message.k = np.array([500.0, 0, 320, 0, 500, 240, 0, 0, 1])
    for name, value in change.items():
        setattr(message, name, value)
    return message


def test_camera_info_is_checked():
    check_camera_info(info())
    for change in (
        {'d': [0.1, float('nan')]},
        {'p': np.full(12, np.inf)},
        {'width': 0},
        {'k': np.zeros(9)},
    ):
        with pytest.raises(NetvladError):
            check_camera_info(info(**change))


def calibration(rectified=False):
    warnings = []
    return CameraInfoInput('/info', rectified=rectified, warn=warnings.append), warnings


def test_a_camera_is_modelled_once_until_something_changes():
    live, warnings = calibration()
    assert live.model(640, 480, 'camera') == (None, '')
    assert '/info' in live.state
    live.received(info())
    model, trouble = live.model(640, 480, 'camera')
    assert (model.width, trouble) == (640, '')
    live.received(info())
    assert live.model(640, 480, 'camera')[0] is model, 'another message, the same calibration'
    assert live.model(320, 240, 'camera')[0].focal_px == pytest.approx(250.0)
    live.received(info(k=np.array([600.0, 0, 320, 0, 600, 240, 0, 0, 1])))
    assert live.model(640, 480, 'camera')[0].focal_px == pytest.approx(600.0), 'it zoomed'
    for _ in range(3):
        live.received(info(k=np.full(9, np.nan)))
        live.received(info(distortion_model='none'))
        none, trouble = live.model(640, 480, 'camera')
        assert none is None
        assert "'none' is unknown" in trouble
    assert len(warnings) == 2, 'each trouble once'
    assert live.bad == 3
    live.received(info())
    live._message.header.frame_id = 'other'
    assert live.model(640, 480, 'camera')[1] == ''
    assert live.model(640, 480, 'camera')[0] is not None
    assert len(warnings) == 3
    assert "'other'" in warnings[-1]


def test_a_rectified_camera_has_the_projection_matrix():
    live, _ = calibration(rectified=True)
    P = np.array([400.0, 0, 300, 0, 0, 400, 200, 0, 0, 0, 1, 0])
    live.received(info(p=P, d=[0.3, 0.1, 0.0, 0.0, 0.0]))
    model, _ = live.model(640, 480, '')
    assert model.focal_px == 400.0
    assert not model.d.any()


def turn(yaw_deg, x=0.0):
    return pose_vector(pose(x=x, yaw_deg=yaw_deg)).tolist()


def test_odometry_is_interpolated_and_extrapolated_a_little():
    track = OdometryTrack(time_jump_s=1.0)
    assert track.at(0) is None
    for i in range(11):
        track.add(10 * S + i * S // 10, turn(10.0 * i, x=0.1 * i))
    np.testing.assert_allclose(track.at(10 * S + S // 4), pose(x=0.25, yaw_deg=25), atol=1e-9)
    np.testing.assert_allclose(track.at(11 * S), pose(x=1.0, yaw_deg=100), atol=1e-9)
    np.testing.assert_allclose(track.at(11 * S + S // 10), pose(x=1.1, yaw_deg=110), atol=1e-9)
    assert track.at(11 * S + S // 2) is None, 'too far ahead of the odometry'
    assert track.at(10 * S - 1) is None
    track.add(13 * S, turn(0.0))
    assert track.at(12 * S) is None, 'a gap is not interpolated'
    track.add(12 * S + S // 2, turn(0.0))
    assert len(track) == 1, 'late poses are ignored'


def test_odometry_is_bounded_counted_and_begins_again():
    track = OdometryTrack(time_jump_s=1.0)
    for i in range(20_000):
        track.add(i * S // 100, turn(0.0))
    assert len(track) == 3001, 'half a minute'
    last = 200 * S
    for numbers in ([0.0] * 7, [float('nan')] + [0.0] * 5 + [1.0], [1e12] + [0.0] * 5 + [1.0]):
        track.add(last, numbers)
    assert track.bad == 3
    assert track.at(last) is not None, 'from the poses before'
    track.add(5 * S, turn(0.0))
    assert (len(track), track.breaks) == (1, 1)


def test_odometry_that_jumps_is_cut():
    track = OdometryTrack(time_jump_s=1.0)
    track.cut()
    assert not track.breaks, 'there was no pose before'

    def breaks_after(stamp_s, numbers):
        track.add(int(stamp_s * S), numbers)
        return track.breaks

    assert breaks_after(1.0, turn(0.0)) == 0
    assert breaks_after(1.02, turn(10.0, x=0.4)) == 0, 'fast, but possible'
    assert breaks_after(1.04, turn(10.0, x=9.0)) == 1, 'reset'
    assert track.at(int(1.03 * S)) is None
    assert breaks_after(1.06, turn(170.0, x=9.0)) == 2
    assert breaks_after(3.0, turn(170.0, x=9.0)) == 3, 'a gap of two seconds'
    assert breaks_after(3.1, turn(170.0, x=9.1)) == 3
    assert track.at(int(3.1 * S)) is not None


class Mounts:
    """Extrinsics of a front and a rear camera, and of a trailer behind the base."""

    source = 'TF'

    def T_base_cam(self, config, place_map, camera, camera_frame, stamp):
        mounts = {'front': pose(x=1.0), 'rear': pose(x=-2.0, yaw_deg=180.0)}
        if camera not in mounts:
            raise NetvladError(f'{camera} unknown')
        return mounts[camera], self.source

    def from_tf(self, target, source, stamp):
        return pose(x=5.0) if (target, source) == ('trailer', 'base_link') else None


def test_a_rig_places_each_camera_and_its_motion():
    mounts = Mounts()
    rig, config = Rig(mounts), NodeConfig(cameras=('front', 'rear', 'side'))

    def placed(camera, T=None, child='base_link'):
        header = SimpleNamespace(frame_id=f'{camera}_optical', stamp=Time())
        context = FrameContext(header, 0.0, camera)
        odometry = None if T is None else OdometryPose(T, child, 0)
        return rig.place(rig.mounts(context, None, config), odometry)

    assert 'no image of the reference' in placed('rear').why_alone, 'TF needs its frame_id'
    mounts.source = 'parameter'
    assert not placed('rear').why_alone
    front = placed('front', pose(x=10.0))
    assert (front.T_ref_cam, front.why_alone) == (None, '')
    np.testing.assert_allclose(front.T_odom_ref, pose(x=11.0))
    rear = placed('rear', pose(x=10.0))
    np.testing.assert_allclose(rear.T_odom_ref, pose(x=11.0), err_msg='of the reference camera')
    np.testing.assert_allclose(rear.T_ref_cam, pose(x=-3.0, yaw_deg=180.0), atol=1e-12)
    assert 'side unknown' in placed('side', pose()).why_alone
    np.testing.assert_allclose(placed('front', pose(), 'trailer').T_odom_ref, pose(x=6.0))
    np.testing.assert_allclose(placed('front', pose(x=3.0), 'front_optical').T_odom_ref, pose(x=3))
    assert placed('front', pose(), 'moon').T_odom_ref is None
    assert "'moon'" in rig.motion
    assert placed('front').T_odom_ref is None
    assert 'none around' in rig.motion


class Listener:
    """A localizer that only notes which motion it is given."""

    place_map = SimpleNamespace(frame_id='map')
    config = LocalizerConfig()
    fails = False

    def __init__(self):
        self.given, self.resets = [], 0

    def step(self, rgb, stamp_ns, *, T_odom_cam, **_):
        if self.fails:
            raise NetvladError('no image')
        self.given.append(None if T_odom_cam is None else T_odom_cam[0, 3])

    def recognize(self, rgb, stamp_ns, **_):
        self.given.append('alone')

    def reset(self):
        self.resets += 1


def test_a_jump_of_the_odometry_never_moves_the_belief(monkeypatch):
    mounts, listener = Mounts(), Listener()
    mounts.source = 'parameter'
    shared_localizer = SharedLocalizer(listener, Rig(mounts))
    config = NodeConfig(cameras=('front', 'side'))
    monkeypatch.setattr(shared_localizer, '_answer', lambda *_: None)

    def step(camera, x, breaks):
        header = SimpleNamespace(frame_id='', stamp=Time())
        odometry = SimpleNamespace(at=lambda stamp_ns: OdometryPose(pose(x=x), '', breaks))
        context = FrameContext(header, time.perf_counter(), camera)
        shared_localizer.step(None, context, config, odometry)

    step('front', 0.0, 0)
    step('front', 1.0, 0)
    step('side', 50.0, 1)  # of unknown mount, hence beside the belief
    listener.fails = True
    with pytest.raises(NetvladError):
        step('front', 51.0, 1)
    listener.fails = False
    step('front', 52.0, 1)
    step('front', 53.0, 1)
    assert listener.given == [1.0, 2.0, 'alone', None, 54.0]


def answer_at(stamp_s, x, place_map):
    """An accepted answer with its prior at x."""
    prior = PosePrior(pose(x=x), np.eye(6), 'landmarks')
    message = prior_message(prior, Time(), 'map')
    match = SimpleNamespace(stamp_ns=stamp_s * S)
    return publishers.Answer(match, None, prior, message, place_map, ())


class NodeParts:
    """What a session needs of the node: localizer, publishers, clock, statistics."""

    place_map = SimpleNamespace(frame_id='map')

    def __init__(self):
        self.localizer = Listener()
        self.localizer.place_map = self.place_map
        self.resets, self.initial_poses, self.calls = 0, [], []
        self.x = 0.0

    def step(self, rgb, context, config, odometry):
        self.calls.append('step')
        return answer_at(context.header.stamp.sec, self.x, self.place_map)

    def reset(self):
        self.resets += 1

    def publish(self, answer):
        self.calls.append('publish')

    def publish_initial_pose(self, message):
        self.calls.append('event')
        self.initial_poses.append(message.pose.pose.position.x)
        return True

    def publish_visuals(self, answer, rgb):
        self.calls.append('visuals')

    def count_processed(self, match, *, accepted, latency_ms, processing_ms):
        self.calls.append('count')

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=0))

    def get_logger(self):
        return SimpleNamespace(warning=self.calls.append)


def test_a_run_begins_afresh_and_publishes_each_event_once():
    node = NodeParts()
    session = Session(node, node, node, NodeConfig)
    assert node.resets == 1, 'it may have been moved while inactive'

    def locate(stamp_s, x):
        node.x = x
        header = SimpleNamespace(frame_id='camera', stamp=Time(sec=stamp_s))
        session.locate(None, FrameContext(header, 0.0), node)

    locate(1, 1.0)
    locate(2, 2.0)
    session.restart()
    locate(3, 3.0)
    assert (node.initial_poses, node.resets) == ([1.0, 3.0], 2)
    locate(4, 100.0)
    locate(5, 101.0)
    assert node.initial_poses == [1.0, 3.0, 101.0], 'the robot was kidnapped'
    assert session.publish_initial_pose(answer_at(6, 7.0, None))
    assert not session.publish_initial_pose(publishers.Answer(None, None, None, None, None, ()))


def test_an_image_is_counted_once_it_is_published_and_before_pictures_are_drawn():
    node = NodeParts()
    session = Session(node, node, node, NodeConfig)
    for stamp_s in (100, 10):
        header = SimpleNamespace(frame_id='camera', stamp=Time(sec=stamp_s))
        session.locate(None, FrameContext(header, 0.0), node)
    located = ['step', 'publish', 'count', 'event', 'visuals']
    assert node.calls == [*located, 'image stamps went back: a new run begins', *located]
    assert (session.time_jumps, node.resets) == (1, 2)


def test_the_mount_of_a_camera_is_looked_up_once_for_each_image():
    class Counted(Mounts):
        source = 'parameter'

        def __init__(self):
            self.asked = []

        def T_base_cam(self, config, place_map, camera, camera_frame, stamp):
            self.asked.append(camera)
            return super().T_base_cam(config, place_map, camera, camera_frame, stamp)

    counted, config = Counted(), NodeConfig(cameras=('front', 'rear', 'side'))
    rig = Rig(counted)
    odometry = OdometryPose(pose(), 'base_link', 0)
    for camera, asked in (('front', ['front']), ('rear', ['rear', 'front'])):
        counted.asked = []
        header = SimpleNamespace(frame_id=f'{camera}_optical', stamp=Time())
        mounts = rig.mounts(FrameContext(header, 0.0, camera), None, config)
        rig.place(mounts, odometry)
        assert camera == 'rear' or camera not in rig.sources, 'no prior has needed it'
        rig.T_base_cam(mounts)
        assert (counted.asked, rig.sources[camera]) == (asked, 'parameter')
    header = SimpleNamespace(frame_id='side_optical', stamp=Time())
    mounts = rig.mounts(FrameContext(header, 0.0, 'side'), None, config)
    with pytest.raises(NetvladError):
        rig.T_base_cam(mounts)
    assert rig.sources['side'] == 'unknown'
    mounts.extrinsics = SimpleNamespace(T_base_cam=lambda *_: (pose(x=3.0), 'TF'))
    assert rig.T_base_cam(mounts)[0, 3] == 3.0, 'TF has come meanwhile'


def test_a_fix_has_position_and_sigma_of_the_prior():
    covariance = np.diag([0.01, 0.09, 0.04, 1.0, 1.0, 1.0])
    fix = Fix.of_prior(5, PosePrior(pose(x=2.0), covariance, 'landmarks'))
    assert (fix.stamp_ns, fix.position) == (5, (2.0, 0.0, 0.0))
    assert fix.sigma_m == pytest.approx(0.3)


def test_nothing_is_drawn_without_a_subscriber(monkeypatch):
    drawn, listeners = [], {'n': 0}

    def draw(*_):
        drawn.append(1)

    monkeypatch.setattr(publishers, 'candidate_markers', draw)
    monkeypatch.setattr(publishers, 'match_image_message', draw)
    silent = SimpleNamespace(
        get_subscription_count=lambda: listeners['n'], publish=lambda message: None
    )
    node = SimpleNamespace(create_lifecycle_publisher=lambda kind, topic, qos: silent)
    message = SimpleNamespace(header=Header(), camera_frame='camera')
    answer = publishers.Answer(None, message, None, None, None, ())
    out = publishers.Publishers(node)
    out.publish_visuals(answer, None)
    assert not drawn
    listeners['n'] = 1
    out.publish_visuals(answer, None)
    assert len(drawn) == 2


@pytest.mark.parametrize(
    ('camera', 'width', 'outermost'),
    [
        (SimpleNamespace(width=320, height=240), 320, (200, 150)),  # the map says how large
        (None, 640, (600, 440)),  # estimated: of the query's size
        (None, 1280, (1279, 900)),  # beyond the query: a larger camera
        (None, 160, (159, 119)),  # well within: a smaller one
    ],
)
def test_inliers_are_drawn_where_they_are(camera, width, outermost):
    """A feature in the middle of the query, and one in the middle of a map image."""
    middle = np.array([[width / 2, width * 3 / 8], outermost], np.float32)
    features = SimpleNamespace(keypoints=np.array([[320, 240]], np.float32))
    evidence = SimpleNamespace(rank=3, matches=np.array([[0, 0]]), inliers=np.array([True]))
    match = SimpleNamespace(
        candidates=[SimpleNamespace(index=7, rank=3)],
        verification=SimpleNamespace(evidence=[evidence], features=features),
    )
    store = SimpleNamespace(features=lambda index: SimpleNamespace(keypoints=middle))
    image = np.zeros((240, 640, 3), np.uint8)
    picture = MatchImage(image, (320, 240), (640, 480), (320, 240))
    draw_inliers(picture, match, SimpleNamespace(features=store, camera=camera))
    y, x = np.nonzero(image.any(axis=-1))
    drawn = [x.min(), x.max(), y.min(), y.max()]
    np.testing.assert_allclose(drawn, [160, 320 + 160, 120, 120], atol=4)


def test_map_urls():
    assert path_of_url('/maps/a') == Path('/maps/a')
    assert path_of_url('file:///maps/a') == Path('/maps/a')
    assert path_of_url('package://netvlad_ros/config').name == 'config'
    for url in ('', 'file://maps/a', 'https://maps/a', 'package://netvlad_ros/../x'):
        with pytest.raises(NetvladError):
            path_of_url(url)


def test_a_map_of_the_models_own_features_needs_no_other_file(tmp_path):
    model = write_tiny_local_model(tmp_path / 'local.onnx')
    bundle = ModelBundle.load(model)
    drive = open_drive(write_drive(tmp_path / 'drive', [pose(x=5.0 * i) for i in range(3)]))
    MapBuilder(tmp_path / 'map', features=FeatureChoice('model')).build(drive, bundle)
    localizer = localizer_on_map(bundle, str(tmp_path / 'map'), NodeConfig(), LocalizerConfig())
    image = next(iter(drive.frames())).read()
    assert localizer.recognize(image, 0).candidates[0].inliers >= 0
    other = ModelBundle.load(write_tiny_local_model(tmp_path / 'other.onnx', seed=1))
    with pytest.raises(MapLoadError, match='netvlad map build DRIVE --out DIR --model'):
        localizer_on_map(other, str(tmp_path / 'map'), NodeConfig(), LocalizerConfig())
