"""The node as a process over DDS: images in, matches and priors out, services and lifecycle."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import rclpy
from node_process import (
    BEST_EFFORT,
    PLACES,
    RELIABLE,
    STEP_M,
    T_BASE_CAM,
    CompressedImage,
    bench,  # noqa: F401, a fixture
    image_message,
    passes_nav2_validator,
    set_stamp,
    stamp_s,
    tiny_world,  # noqa: F401, a fixture
    write_map,
    xyz_quat,
)
from rcl_interfaces.msg import Parameter
from rcl_interfaces.srv import SetParameters
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from tiny_drive import picture, pose, write_image
from visualization_msgs.msg import MarkerArray

from netvlad_ros.core.geometry import invert, pose_vector
from netvlad_ros_msgs.msg import PlaceMatch
from netvlad_ros_msgs.srv import LoadMap

pytestmark = pytest.mark.alone


def test_images_become_matches_and_priors(bench, tiny_world):  # noqa: F811
    node, client = bench()
    markers, pictures = [], []
    client.listen(MarkerArray, 'candidates', markers.append)
    client.listen(Image, 'match_image', pictures.append)
    camera = client.publisher()
    for i in range(4):
        match = client.match_of(camera, image_message(picture(i), 100.123456789 + i))
        assert stamp_s(match) == pytest.approx(100.123456789 + i, abs=1e-9)
        assert match.header.frame_id == 'map'
        assert match.camera_frame == 'camera'
        assert match.status == PlaceMatch.ACCEPTED, match.reason
        assert len(match.map_id) == len(match.model_id) == 64
        best = match.candidates[0]
        assert (best.place_id, best.recording, best.stamp.sec) == (i, 'day one', i + 1)
        assert best.inliers == -1
        assert best.similarity == pytest.approx(1.0, abs=1e-3)
        assert best.probability > 0.9
        assert best.pose.position.x == pytest.approx(STEP_M * i)
        prior = client.wait(lambda i=i: [p for p in client.priors if stamp_s(p) >= 100 + i])[0]
        T_map_base = pose(x=STEP_M * i, yaw_deg=10 * i) @ invert(T_BASE_CAM)
        np.testing.assert_allclose(xyz_quat(prior), pose_vector(T_map_base), atol=1e-6)
        assert prior.header.stamp == match.header.stamp
        assert passes_nav2_validator(prior)
    # Many priors are one event.
    assert len(client.initial_poses) == 1

    match = client.match_of(camera, image_message(picture(999), 110.0))
    assert match.status == PlaceMatch.NO_MATCH
    assert 'similarity' in match.reason
    assert not [p for p in client.priors if stamp_s(p) > 109]

    assert client.wait(lambda: markers)[0].markers[1].pose.position.x == pytest.approx(0.0)
    drawn = client.wait(lambda: pictures)[0]
    height, width = drawn.height, drawn.width
    assert len(drawn.data) == 3 * height * width
    assert width > 2 * 240, 'query and thumbnail side by side'
    rgb = np.frombuffer(drawn.data, np.uint8).reshape(height, width, 3)
    write_image(Path(node.log).with_name('match_image.png'), rgb)

    client.wait(lambda: client.diagnostics.get('images processed') == '5')
    found = client.diagnostics
    assert found['accelerator'] == 'CPUExecutionProvider'
    assert found['map id'] == match.map_id
    assert found['model id'] == match.model_id
    assert found['image QoS'] == 'best_effort'
    assert found['extrinsics'] == 'map'
    assert float(found['processing p50 [ms]']) <= float(found['processing p99 [ms]'])
    assert 0 < float(found['inference share']) < 1
    assert int(found['images received']) >= 5

    node.process.send_signal(signal.SIGINT)
    assert node.stop() == 0, 'a second interrupt does not stop the clean-up'


def test_bad_messages_are_counted_and_survived(bench):  # noqa: F811
    _, client = bench()
    camera = client.publisher()
    info = client.publisher(CameraInfo, 'camera_info')
    client.match_of(camera, image_message(picture(0), 1.0))
    good = image_message(picture(0), 2.0)
    storm = [
        {'height': 0},
        {'width': 0},
        {'step': 1},
        {'step': 2**32 - 1},
        {'data': b'abc'},
        {'data': b''},
        {'encoding': 'smellovision'},
        {'height': 2**32 - 1, 'width': 2**32 - 1},
    ]
    for change in storm:
        bad = image_message(picture(0), 1.5)
        for name, value in change.items():
            setattr(bad, name, value)
        camera.publish(bad)
        client.spin(0.1)
    broken = CameraInfo(width=64, height=48)
    broken.k[0] = float('nan')
    info.publish(broken)
    match = client.match_of(camera, good)
    assert match.status == PlaceMatch.ACCEPTED
    client.wait(lambda: client.diagnostics.get('images bad') == str(len(storm)))
    client.wait(lambda: client.diagnostics.get('camera_info bad') == '1')
    assert '16384' in client.diagnostics['last bad image']
    assert 'not finite' in client.diagnostics['last bad camera_info']
    assert b'\x01' in client.levels, 'a warning while they came'
    client.wait(lambda: client.diagnostics['level'] == b'\x00', what='for the warning to end')


def test_no_message_ends_or_freezes_the_node(bench):  # noqa: F811
    node, client = bench(use_sim_time=True, max_image_pixels=80_000)
    clock = client.publisher(Clock, '/clock')
    camera = client.publisher()
    client.match_of(camera, image_message(picture(0), 1.0))
    below_zero = Clock()
    below_zero.clock.sec = -5
    # CDR of an image whose frame_id is no UTF-8: the message cannot even be taken.
    raw = serialize_message(image_message(picture(0), 1.5, frame_id='no utf-8'))
    no_text = raw.replace(b'no utf-8', b'\xff\xfe\xfd\xfc\xfb\xfa\xff\xff')
    unknown = SetParameters.Request(parameters=[Parameter(name='top_k')])
    unknown.parameters[0].value.type = 99
    setter = client.ros.create_client(SetParameters, 'netvlad/set_parameters')
    client.wait(setter.service_is_ready)
    setter.call_async(unknown)
    large = image_message(np.zeros((201, 400, 3), np.uint8), 1.6)
    for _ in range(3):
        clock.publish(below_zero)
        camera.publish(no_text)
        camera.publish(large)
        client.spin(0.2)
    client.wait(lambda: int(client.diagnostics.get('callback failures', 0)) >= 3)
    assert client.set_parameter('top_k', 3).successful
    assert client.match_of(camera, image_message(picture(1), 2.0)).status == PlaceMatch.ACCEPTED
    said = node.said()
    assert 'refused, and the node goes on' in said
    assert '0.08 million' in said
    assert said.count('refused, and the node goes on') < 10, 'at most one line a second'

    other = rclpy.create_node('netvlad', namespace=node.namespace, context=client.context)
    client.wait(lambda: '1 more node' in client.diagnostics.get('message', ''))
    other.destroy_node()
    client.wait(lambda: '1 more node' not in client.diagnostics.get('message', ''))


def test_images_are_answered_while_a_map_is_loaded(bench, tiny_world, tmp_path):  # noqa: F811
    _, client = bench()
    camera = client.publisher(reliability=RELIABLE)
    client.match_of(camera, image_message(picture(0), 1.0))
    large = write_map(tmp_path / 'large', tiny_world / 'model.onnx', visits=2500)
    loads = client.ros.create_client(LoadMap, 'load_map')
    client.wait(loads.service_is_ready)
    loading = loads.call_async(LoadMap.Request(map_url=str(large)))
    stamps = []
    while not loading.done():
        stamps.append(10.0 + len(stamps))
        camera.publish(image_message(picture(2), stamps[-1]))
        client.spin(0.1)
        assert len(stamps) < 600
    assert loading.result().result == LoadMap.Response.RESULT_SUCCESS, loading.result().message
    client.match_of(camera, image_message(picture(2), 5000.0))
    answered = [stamp_s(m) for m in client.matches if 10.0 <= stamp_s(m) < 5000.0]
    assert len(stamps) >= 3, 'a map that takes a while'
    assert len(answered) > len(stamps) / 2


def test_load_map_swaps_whole_or_not_at_all(bench, tiny_world, tmp_path):  # noqa: F811
    _, client = bench()
    camera = client.publisher()
    old = client.match_of(camera, image_message(picture(2), 1.0)).map_id
    changed = tmp_path / 'changed'
    changed.mkdir()
    for path in (tiny_world / 'map').iterdir():
        if path.is_file():
            (changed / path.name).write_bytes(path.read_bytes())
    data = bytearray((changed / 'descriptors.npy').read_bytes())
    data[-1] ^= 1
    (changed / 'descriptors.npy').write_bytes(data)
    bad_yaml = tmp_path / 'bad_yaml'
    bad_yaml.mkdir()
    (bad_yaml / 'map.yaml').write_text('format_version: 99\n')
    for url, result, words in [
        ('/nowhere/at/all', LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST, 'does not exist'),
        ('', LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST, 'no path'),
        ('http://map', LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST, 'package://'),
        ('package://no_such/map', LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST, 'no_such'),
        (changed, LoadMap.Response.RESULT_INVALID_MAP_DATA, 'hash'),
        (bad_yaml, LoadMap.Response.RESULT_INVALID_MAP_METADATA, 'version'),
        (tiny_world / 'map_other', LoadMap.Response.RESULT_INVALID_MAP_METADATA, 'model'),
    ]:
        answer = client.load_map(url)
        assert (answer.result, answer.map_id) == (result, old), answer.message
        assert words in answer.message
    still = client.match_of(camera, image_message(picture(2), 2.0))
    assert (still.map_id, still.status) == (old, PlaceMatch.ACCEPTED)

    answer = client.load_map(f'file://{tiny_world / "map_b"}')
    assert answer.result == LoadMap.Response.RESULT_SUCCESS, answer.message
    assert answer.map_id != old
    new = client.match_of(camera, image_message(picture(102), 3.0))
    assert (new.map_id, new.status) == (answer.map_id, PlaceMatch.ACCEPTED)
    assert client.match_of(camera, image_message(picture(2), 4.0)).status == PlaceMatch.NO_MATCH


def test_services_and_live_parameters(bench):  # noqa: F811
    _, client = bench()
    camera = client.publisher()
    assert 'none has come' in client.localize().message

    answer = client.localize(image_message(picture(5), 7.5))
    assert answer.success
    assert answer.has_prior
    assert answer.match.candidates[0].place_id == 5
    assert stamp_s(answer.prior) == 7.5
    assert passes_nav2_validator(answer.prior)
    assert not client.initial_poses, 'only when asked for'
    assert client.localize(image_message(picture(5), 8.5), initial=True).has_prior
    assert stamp_s(client.wait(lambda: client.initial_poses)[0]) == 8.5
    bad = image_message(picture(5), 8.0)
    bad.encoding = 'none'
    answer = client.localize(bad)
    assert not answer.success
    assert 'encoding' in answer.message

    client.match_of(camera, image_message(picture(6), 9.0))
    assert client.localize().match.candidates[0].place_id == 6
    assert client.reset().success
    client.match_of(camera, image_message(picture(6), 10.0))
    client.wait(lambda: stamp_s(client.initial_poses[-1]) == 10.0)

    assert client.set_parameter('publish_descriptor', True).successful
    assert client.set_parameter('top_k', 3).successful
    assert client.set_parameter('pose_of', 'camera').successful
    match = client.match_of(camera, image_message(picture(1), 11.0))
    assert len(match.candidates) == 3
    prior = client.wait(lambda: [p for p in client.priors if stamp_s(p) == 11.0])[0]
    np.testing.assert_allclose(xyz_quat(prior), pose_vector(pose(x=5.0, yaw_deg=10)), atol=1e-6)
    descriptor = client.wait(lambda: client.descriptors)[0]
    assert descriptor.model_id == match.model_id
    assert np.linalg.norm(descriptor.descriptor) == pytest.approx(1.0, abs=1e-5)
    for name, value, words in [
        ('top_k', 0, 'top_k'),
        ('accept_probability', 2.0, 'accept_probability'),
        ('accept_probability', float('nan'), 'accept_probability'),
        ('pose_of', 'tail', 'base, camera'),
        ('T_base_cam', [1.0, 2.0], '7'),
        ('T_base_cam', [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0], 'T_base_cam'),
        ('map', '/elsewhere', 'load_map'),
        ('model', '/elsewhere', 'unconfigured'),
    ]:
        result = client.set_parameter(name, value)
        assert not result.successful, name
        assert words in result.reason
    assert client.get_parameter('top_k').integer_value == 3


def test_unknown_mount_publishes_no_prior(bench, tiny_world):  # noqa: F811
    _, client = bench(map=tiny_world / 'map_no_mount')
    camera = client.publisher()
    match = client.match_of(camera, image_message(picture(2), 1.0))
    assert match.status == PlaceMatch.ACCEPTED
    assert 'T_base_cam' in match.reason
    client.wait(lambda: 'not known' in client.diagnostics.get('message', ''))
    assert not client.priors
    assert client.set_parameter('T_base_cam', [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]).successful
    client.match_of(camera, image_message(picture(2), 2.0))
    assert client.wait(lambda: client.priors)[0].pose.pose.position.z == pytest.approx(-1.0)


def test_bad_model_stops_configure_and_not_the_node(bench, tiny_world):  # noqa: F811
    node, client = bench(model='/nowhere/model.onnx', top_k=0)
    assert client.state() == 'unconfigured'
    assert 'top_k' in node.said()
    assert not client.change_state('activate'), 'refused, and the node survives'
    assert client.set_parameter('top_k', 4).successful
    assert not client.change_state('configure')
    assert node.said().count('/nowhere/model.onnx does not exist') == 1
    client.wait(lambda: '/nowhere/model.onnx' in client.diagnostics.get('message', ''))
    assert client.diagnostics['level'] == b'\x02'
    assert client.set_parameter('model', str(tiny_world / 'other.onnx')).successful
    assert not client.change_state('configure'), 'a map of another model'
    assert client.set_parameter('model', str(tiny_world / 'model.onnx')).successful
    assert client.change_state('configure')
    assert client.change_state('activate')
    match = client.match_of(client.publisher(), image_message(picture(1), 1.0))
    assert len(match.candidates) == 4
    assert node.stop(signal.SIGTERM) == 0


def test_qos_follows_the_publishers(bench):  # noqa: F811
    node, client = bench()
    reliable = client.publisher(reliability=RELIABLE)
    client.wait(lambda: client.heard_as() == [RELIABLE], what='for a reliable subscription')
    client.match_of(reliable, image_message(picture(0), 1.0))
    client.ros.destroy_publisher(reliable)
    best_effort = client.publisher(reliability=BEST_EFFORT)
    client.wait(lambda: client.heard_as() == [BEST_EFFORT], what='for a best-effort one')
    client.match_of(best_effort, image_message(picture(0), 2.0))
    both = client.publisher(reliability=RELIABLE)
    client.wait(lambda: 'hears them all' in node.said(), what='for the warning')
    assert client.heard_as() == [BEST_EFFORT]
    client.match_of(both, image_message(picture(0), 3.0))
    client.ros.destroy_publisher(both)

    assert client.set_parameter('image_qos', 'reliable').successful
    client.wait(lambda: client.heard_as() == [RELIABLE])
    client.wait(lambda: 'best-effort publisher' in client.diagnostics.get('message', ''))
    assert f'{node.namespace}/image has a best-effort publisher' in node.said()


def test_no_image_is_lost_while_the_subscription_changes(bench):  # noqa: F811
    node, client = bench()
    camera = client.publisher(reliability=RELIABLE)
    client.wait(camera.get_subscription_count, what='for any subscription')
    small = image_message(picture(0), 0.0)
    stamps = [1.0 + 0.1 * i for i in range(40)]  # at a pace that a busy machine keeps up with
    for stamp in stamps:
        set_stamp(small, stamp)
        camera.publish(small)
        client.spin(0.1)
    client.spin(0.5)
    assert client.heard_as() == [RELIABLE]
    answered = [round(stamp_s(m), 3) for m in client.matches]
    # Images that are published before both sides have discovered each other may be lost.
    assert len(answered) >= len(stamps) - 2
    assert answered == [round(stamp, 3) for stamp in stamps[-len(answered) :]]  # each once
    assert 'reliable' in node.said()


def test_silence_names_the_topic(bench):  # noqa: F811
    node, client = bench('-r', 'image:=/front/image_raw', image_timeout_s=0.5)
    client.wait(lambda: 'no image has come on /front/image_raw' in node.said())
    wrong = client.publisher(CompressedImage, '/front/image_raw')
    client.wait(lambda: '/front/image_raw carries sensor_msgs/msg/CompressedImage' in node.said())
    assert wrong.get_subscription_count() == 0


def test_compressed_images(bench):  # noqa: F811
    import cv2

    _, client = bench(image_transport='compressed')
    camera = client.publisher(CompressedImage, 'image/compressed')
    message = CompressedImage(format='jpeg')
    set_stamp(message, 3.5)
    bgr = np.ascontiguousarray(picture(4)[..., ::-1])
    message.data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    match = client.match_of(camera, message)
    assert (match.status, match.candidates[0].place_id) == (PlaceMatch.ACCEPTED, 4)
    cut = CompressedImage(format='jpeg', data=bytes(message.data)[:200])
    set_stamp(cut, 4.0)
    camera.publish(cut)
    client.wait(lambda: 'cut off' in client.diagnostics.get('last bad image', ''))


def test_time_may_go_backwards(bench):  # noqa: F811
    _, client = bench(use_sim_time=True)
    clock = client.publisher(Clock, '/clock')
    camera = client.publisher()
    for now in (500.0, 501.0, 20.0, 21.0):
        tick = Clock()
        tick.clock.sec = int(now)
        clock.publish(tick)
        match = client.match_of(camera, image_message(picture(1), now))
        assert match.status == PlaceMatch.ACCEPTED
    client.wait(lambda: client.diagnostics.get('time jumps back') == '1')
    client.wait(lambda: [stamp_s(p) for p in client.initial_poses] == [500.0, 20.0])


def test_lifecycle_goes_round_without_leaking(bench):  # noqa: F811
    node, client = bench()
    camera = client.publisher()
    sizes = []
    for turn in range(5):
        match = client.match_of(camera, image_message(picture(turn), 10.0 + turn))
        assert match.candidates[0].place_id == turn % PLACES
        assert client.change_state('deactivate')
        camera.publish(image_message(picture(0), 90.0))
        client.spin(0.2)
        assert not client.localize().success, 'inactive'
        assert client.change_state('cleanup')
        assert client.state() == 'unconfigured'
        assert client.change_state('configure')
        assert client.change_state('activate')
        sizes.append(node.resident_mib())
    assert not [m for m in client.matches if stamp_s(m) == 90.0]
    assert sizes[-1] - sizes[1] < 8, sizes
    own = [name for name, _ in client.ros.get_topic_names_and_types() if node.namespace in name]
    assert len(own) == len(set(own))
    assert client.heard_as() == [BEST_EFFORT]
    assert client.change_state('deactivate')
    assert client.change_state('cleanup')
    assert client.change_state('shutdown')
    assert client.state() == 'finalized'
    assert node.stop() == 0


@pytest.mark.parametrize('reliability', [BEST_EFFORT, RELIABLE], ids=['best_effort', 'reliable'])
def test_large_images_are_not_lost(bench, reliability):  # noqa: F811
    if not os.environ.get('FASTRTPS_DEFAULT_PROFILES_FILE'):
        pytest.skip('FASTRTPS_DEFAULT_PROFILES_FILE is not set: source .venv/ros_env.sh')
    _, client = bench()
    camera = client.publisher(reliability=reliability)
    client.wait(lambda: client.heard_as() == [reliability])
    client.match_of(camera, image_message(picture(0), 1.0))
    client.spin(1.5)
    before = int(client.diagnostics['images received'])
    large = image_message(picture(1, 480, 640), 0.0)
    for i in range(20):
        set_stamp(large, 100.0 + i)
        camera.publish(large)
        client.spin(0.1)
    client.wait(lambda: int(client.diagnostics['images received']) == before + 20)
    answered = {stamp_s(m) for m in client.matches if stamp_s(m) >= 100}
    assert len(answered) + int(client.diagnostics['images dropped']) == 20
