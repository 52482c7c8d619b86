"""The node over DDS with camera_info, odometry, several cameras, and the match image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from node_process import (
    STEP_M,
    T_BASE_CAM,
    bench,  # noqa: F401, a fixture
    image_message,
    passes_nav2_validator,
    set_stamp,
    stamp_s,
    tiny_world,  # noqa: F401, a fixture
    xyz_quat,
)
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from tiny_drive import HEIGHT, WIDTH, picture, pose, write_drive, write_image
from tiny_feature_model import METADATA, cells
from visualization_msgs.msg import MarkerArray

from netvlad_ros.core.features.feature_bundle import write_feature_bundle
from netvlad_ros.core.geometry import invert, pose_vector
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.mapping.feature_choice import FeatureChoice
from netvlad_ros.offline.mapping.map_builder import MapBuilder
from netvlad_ros_msgs.msg import PlaceMatch

pytestmark = pytest.mark.alone


def camera_info(width=WIDTH, height=HEIGHT, *, focal=60.0, model='plumb_bob', frame='camera'):
    message = CameraInfo(width=width, height=height, distortion_model=model, d=[0.0] * 5)
    message.header.frame_id = frame
    message.k = np.array([focal, 0, (width - 1) / 2, 0, focal, (height - 1) / 2, 0, 0, 1])
    return message


def odometry(at_s, x, *, qw=1.0, child='base_link'):
    message = Odometry(child_frame_id=child)
    set_stamp(message, at_s, 'odom')
    message.pose.pose.position.x = x
    message.pose.pose.orientation.w = qw
    return message


def test_unusable_camera_info_weakens_the_answer_and_the_reason_names_it(bench):  # noqa: F811
    node, client = bench()
    camera, info = client.publisher(), client.publisher(CameraInfo, 'camera_info')

    def answer_with(message, stamp, state):
        def is_heard():
            info.publish(message)
            camera.publish(image_message(picture(2), stamp - 0.5))
            client.spin(0.2)
            return state in client.diagnostics.get('camera_info', '')

        client.wait(is_heard, what=state)
        match = client.match_of(camera, image_message(picture(2), stamp))
        assert match.status == PlaceMatch.ACCEPTED, match.reason
        return match.reason

    assert 'camera_info' not in client.match_of(camera, image_message(picture(2), 1.0)).reason
    assert client.wait(lambda: client.diagnostics.get('camera_info')).startswith('none has come')
    for message, stamp, words in (
        (camera_info(WIDTH, WIDTH), 2.0, 'its shape differs'),
        (camera_info(model='crystal_ball'), 4.0, "'crystal_ball' is unknown"),
        (camera_info(focal=0.0), 5.0, 'crystal_ball'),  # ignored: the last valid one is used
    ):
        assert words in answer_with(message, stamp, words)
    for stamp, message in (
        (6.0, camera_info()),
        (7.0, camera_info(10 * WIDTH, 10 * HEIGHT, frame='other_camera')),  # of the full size
    ):
        state = f'in use: plumb_bob, {WIDTH}x{HEIGHT}'
        assert 'camera_info' not in answer_with(message, stamp, state)
    assert node.said().count("of the frame 'other_camera'") == 1
    for words in ('its shape differs', 'crystal_ball', 'focal lengths 0'):
        assert node.said().count(words) == 1, 'one warning, not one for each image'
    assert 'camera_info' in client.localize(image_message(picture(2, 60, 80), 8.0)).message
    assert not client.localize(image_message(picture(2), 8.0)).message, 'like the live images'


def test_odometry_is_used_where_it_can_be(bench):  # noqa: F811
    _, client = bench()
    camera, odom = client.publisher(), client.publisher(Odometry, 'odom')
    client.wait(odom.get_subscription_count, what='for the odometry to be wanted')

    def moves(at_s, words, *messages):
        for message in messages:
            odom.publish(message)
        client.spin(0.2)
        client.match_of(camera, image_message(picture(1), at_s))
        client.wait(lambda: client.diagnostics.get('odometry', '').startswith(words), what=words)

    moves(10.0, 'none has come on')
    moves(20.0, 'in use', odometry(19.9, 0.0), odometry(20.1, 0.2))
    lost = [odometry(30.0, float('nan')), odometry(30.1, 0.0, qw=0.0), odometry(30.2, 1e300)]
    moves(30.0, 'none around', *lost)
    assert client.diagnostics['odometry bad'] == '3'
    for at_s, child, words in (
        (40.0, 'trailer', "of no use: odometry is of 'trailer'"),
        (50.0, 'camera', 'in use'),
    ):
        poses = [odometry(at_s + 0.1 * i, 1.0, child=child) for i in range(3)]
        moves(at_s, 'of no use', *poses)  # it jumped: no motion is known
        moves(at_s + 0.1, words)
    assert client.set_parameter('use_odom', False).successful
    client.wait(lambda: not odom.get_subscription_count(), what='for the subscription to end')
    moves(60.0, 'off: parameter use_odom is false', odometry(60.0, 1.0))


def numbers(T) -> str:
    return str([round(float(value), 9) for value in pose_vector(T)])


def test_two_cameras_make_one_answer(bench):  # noqa: F811
    """The mounts are such that the rear camera shows place 3 while the front one shows place 2."""
    T_ref_cam = invert(pose(x=2 * STEP_M, yaw_deg=20)) @ pose(x=3 * STEP_M, yaw_deg=30)
    mounts = {'front': T_BASE_CAM, 'rear': T_BASE_CAM @ T_ref_cam}
    parameters = {f'{name}.T_base_cam': numbers(T) for name, T in mounts.items()}
    node, client = bench(cameras='[front, rear, side]', **parameters)
    cameras = {name: client.publisher(topic=f'{name}/image') for name in ('front', 'rear', 'side')}
    info = client.publisher(CameraInfo, 'rear/camera_info')
    seen = {'front': 2, 'rear': 3, 'side': 5}
    for number in range(4):
        info.publish(camera_info(frame='rear_optical'))
        for name, place in seen.items():
            at_s = 10.0 + number + 0.01 * place
            message = image_message(picture(place), at_s, f'{name}_optical')
            match = client.match_of(cameras[name], message)
            assert (match.camera_frame, match.candidates[0].place_id) == (f'{name}_optical', place)
            assert match.status == PlaceMatch.ACCEPTED, match.reason
            assert ('taken alone' in match.reason) == (name == 'side'), match.reason
            if name == 'side':
                assert 'side.T_base_cam' in match.reason, 'no mount, no prior of the base'
                continue
            prior = client.wait(lambda s=at_s: [p for p in client.priors if stamp_s(p) == s])[0]
            T_map_base = pose(x=2 * STEP_M, yaw_deg=20) @ invert(T_BASE_CAM)
            np.testing.assert_allclose(xyz_quat(prior), pose_vector(T_map_base), atol=1e-5)
    assert len(client.initial_poses) == 1, 'one robot, one event'
    client.wait(lambda: 'in use' in client.diagnostics.get('rear: camera_info', ''))
    assert client.diagnostics['extrinsics'] == 'front: parameter, rear: parameter, side: unknown'
    assert client.diagnostics['front: image topic'] == f'{node.namespace}/front/image'
    assert client.localize().match.camera_frame == 'side_optical', 'the newest of all'
    assert client.localize(image_message(picture(3), 50.0, 'rear_optical')).has_prior
    assert not client.localize(image_message(picture(3), 50.0, 'nobody')).has_prior
    turned = client.set_parameter('side.T_base_cam', [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    assert turned.successful
    message = image_message(picture(5), 60.0, 'side_optical')
    assert 'taken alone' not in client.match_of(cameras['side'], message).reason
    assert not client.set_parameter('side.T_base_cam', [0.0] * 6 + [3.0]).successful
    assert not client.set_parameter('cameras', ['front']).successful


def test_an_impossible_mount_stops_configure(bench):  # noqa: F811
    node, client = bench(cameras='[front]', **{'front.T_base_cam': '[1.0, 2.0]'})
    client.wait(lambda: 'needs 7' in client.diagnostics.get('message', ''))
    assert client.state() == 'unconfigured'
    assert 'front.T_base_cam has 2 numbers' in node.said()
    assert client.set_parameter('front.T_base_cam', pose_vector(T_BASE_CAM).tolist()).successful
    assert client.change_state('configure')
    assert client.change_state('cleanup')
    assert not client.set_parameter('cameras', ['front', 'front']).successful
    assert client.set_parameter('cameras', ['left']).successful
    assert client.change_state('configure'), 'a mount may come from TF later'
    assert client.get_parameter('left.T_base_cam').double_array_value.tolist() == [0.0] * 7


def test_features_of_a_bundle_need_the_bundle(bench, tiny_world, tmp_path):  # noqa: F811
    features = tmp_path / 'cells.onnx'
    write_feature_bundle(cells(), METADATA, features)
    drive = write_drive(tmp_path / 'drive', [pose(x=float(i)) for i in range(4)])
    MapBuilder(
        tmp_path / 'map',
        features=FeatureChoice('onnx', 50, 64, features),
    ).build(open_drive(drive), ModelBundle.load(tiny_world / 'model.onnx', threads=1))
    _, client = bench(map=tmp_path / 'map', pose_of='camera')
    client.wait(lambda: 'feature_model' in client.diagnostics.get('message', ''))
    assert client.state() == 'unconfigured'
    assert client.set_parameter('feature_model', str(features)).successful
    assert client.change_state('configure')
    assert client.change_state('activate')
    match = client.match_of(client.publisher(), image_message(picture(2), 1.0))
    assert match.inliers >= 0, match.reason
    client.wait(lambda: client.diagnostics.get('verification') == 'on: onnx, without landmarks')


@pytest.fixture(scope='module')
def kitchen(shared_data, model_path, tmp_path_factory):
    """The first images of a kitchen, as a drive and as a map with features and landmarks."""
    drive = open_drive(shared_data / 'redkitchen')
    folder = tmp_path_factory.mktemp('kitchen') / 'map'
    bundle = ModelBundle.load(model_path, threads=1)
    MapBuilder(folder, landmarks=True).build(drive, bundle, selection=slice(0, 60, 10))
    return drive, folder


def test_verified_matches_say_how_and_show_it(bench, kitchen, model_path):  # noqa: F811
    drive, folder = kitchen
    node, client = bench(
        '-r',
        'image:=/kitchen/image_raw',
        **{'map': folder, 'model': model_path, 'pose_of': 'camera', 'threads': 1},
        frame_budget_ms=5000.0,
    )
    markers, pictures = [], []
    client.listen(MarkerArray, 'candidates', markers.append)
    client.listen(Image, 'match_image', pictures.append)
    camera = client.publisher(topic='/kitchen/image_raw')
    info = client.publisher(CameraInfo, '/kitchen/camera_info')  # beside the images
    message = camera_info(480, 360, focal=float(drive.camera.K[0, 0]), frame='')

    def is_calibrated():
        info.publish(message)
        camera.publish(image_message(rgb_of(drive, 15), 9.0))
        client.spin(0.2)
        return 'in use' in client.diagnostics.get('camera_info', '')

    client.wait(is_calibrated, 30.0)
    for i, frame in enumerate(drive.frames(slice(5, 60, 20))):
        match = client.match_of(camera, image_message(frame.read(), 10.0 + i))
        assert match.status == PlaceMatch.ACCEPTED, match.reason
        assert match.pose_method == 'landmarks', match.reason
        assert match.inliers > 50
        assert match.candidates[0].inliers > 20
        assert 0.95 < match.probability <= 1.0
        prior = client.wait(lambda i=i: [p for p in client.priors if stamp_s(p) == 10.0 + i])[0]
        assert passes_nav2_validator(prior)
        offset = xyz_quat(prior)[:3] - frame.T_map_cam[:3, 3]
        assert np.linalg.norm(offset) < 0.05
        sigma_m = np.sqrt(np.reshape(prior.pose.covariance, (6, 6)).diagonal()[:3])
        assert (sigma_m < 0.5).all()
    assert client.wait(lambda: markers)[-1].markers[-1].ns == 'estimate'
    drawn = client.wait(lambda: pictures)[-1]
    rgb = np.frombuffer(drawn.data, np.uint8).reshape(drawn.height, drawn.width, 3)
    write_image(Path(node.log).with_name('match_image.png'), rgb)
    middle = rgb[4:244, 310:330].astype(int)  # where the two panels meet
    greener = middle[..., 1] - middle[..., [0, 2]].max(axis=-1)
    assert (greener > 50).sum() > 100, 'lines from one image to the other'
    client.wait(lambda: 'stage verify p50 [ms]' in client.diagnostics)
    assert client.diagnostics['verification'] == 'on: model, with landmarks'
    assert float(client.diagnostics['stage verify p50 [ms]']) > 0
    assert 0 <= float(client.diagnostics['probability elsewhere']) < 0.1

    assert client.set_parameter('frame_budget_ms', 0.0).successful
    late = client.match_of(camera, image_message(rgb_of(drive, 15), 20.0))
    assert 'skipped' in late.reason
    assert (late.inliers, late.pose_method) == (-1, 'map_images')
    client.wait(lambda: int(client.diagnostics['verifications skipped']) >= 1)
    patient = client.localize().match
    assert patient.pose_method == 'landmarks', 'nobody waits for the next frame here'
    assert client.set_parameter('verification', False).successful
    off = client.match_of(camera, image_message(rgb_of(drive, 15), 21.0))
    assert off.inliers == -1
    client.wait(lambda: 'parameter' in client.diagnostics['verification'])


def rgb_of(drive, index):
    return next(iter(drive.frames(slice(index, index + 1)))).read()


def test_a_new_run_forgets_what_was_believed(bench):  # noqa: F811
    _, client = bench(min_detail=0.0)
    camera = client.publisher()

    def probabilities(start_s):
        return [
            client.match_of(camera, image_message(picture(place), start_s + i)).probability
            for i, place in enumerate((1, 1, 1, 2, 999))
        ]

    first = probabilities(100.0)
    assert probabilities(105.0) != pytest.approx(first, abs=1e-6)
    assert client.call(Trigger, 'reset').success
    assert probabilities(110.0) == pytest.approx(first, abs=1e-6)
    assert probabilities(20.0) == pytest.approx(first, abs=1e-6), 'the bag began again'
