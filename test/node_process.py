"""The node as a process of its own, and a client that talks to it over DDS."""

from __future__ import annotations

import array
import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from netvlad_ros.core.place_map.storage import save_map

pytest.importorskip('rclpy', reason='needs ROS 2: source .venv/ros_env.sh')
import rclpy

try:
    from netvlad_ros_msgs.msg import GlobalDescriptor, PlaceMatch
    from netvlad_ros_msgs.srv import LoadMap, Localize
except ImportError:
    pytest.skip(
        'netvlad_ros_msgs is not built: scripts/build_ros.sh, then source .venv/ros_env.sh',
        allow_module_level=True,
    )
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter as ParameterOf
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger
from tiny_drive import picture, pose
from tiny_model import write_tiny_model

from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
PLACES = 8
STEP_M = 5.0
T_BASE_CAM = np.array(
    [[0.0, 0.0, 1.0, 0.3], [-1.0, 0.0, 0.0, 0.1], [0.0, -1.0, 0.0, 0.5], [0.0, 0.0, 0.0, 1.0]]
)
_counter = itertools.count()


def write_map(
    folder: Path, model: Path, *, first: int = 0, T_base_cam=T_BASE_CAM, visits: int = 1
) -> Path:
    """Places STEP_M apart; place i shows picture(first + i). So many equal visits."""
    import cv2

    bundle = ModelBundle.load(model, threads=1)
    pictures = [picture(first + i) for i in range(PLACES)]
    place_map = PlaceMap.create(
        model_id=bundle.metadata.model_id,
        frame_id='map',
        descriptors=np.tile(bundle.describe_batch(pictures), (visits, 1)),
        recordings=['day one'] * PLACES * visits,
        stamps_ns=[10**9 * (i + 1) for i in range(PLACES * visits)],
        images=[f'{i}.png' for i in range(PLACES * visits)],
        T_map_cam=np.array([pose(x=STEP_M * i, yaw_deg=10 * i) for i in range(PLACES)] * visits),
        T_base_cam=T_base_cam,
        base_frame='base_link',
        camera_frame='camera',
    )
    jpegs = {i: cv2.imencode('.jpg', rgb[..., ::-1])[1].tobytes() for i, rgb in enumerate(pictures)}
    save_map(place_map, folder, thumbnails=jpegs)
    return folder


@pytest.fixture(scope='session')
def tiny_world(tmp_path_factory):
    """A folder with model.onnx, other.onnx (another model) and maps `map`, `map_b`, `map_other`."""
    folder = tmp_path_factory.mktemp('world')
    model = write_tiny_model(folder / 'model.onnx')
    other = write_tiny_model(folder / 'other.onnx', seed=1)
    write_map(folder / 'map', model)
    write_map(folder / 'map_b', model, first=100)
    write_map(folder / 'map_other', other)
    write_map(folder / 'map_no_mount', model, T_base_cam=None)
    return folder


def image_message(rgb, stamp_s: float, frame_id: str = 'camera') -> Image:
    message = Image(height=rgb.shape[0], width=rgb.shape[1], encoding='rgb8')
    message.step = 3 * message.width
    message.data = array.array('B', rgb.tobytes())
    set_stamp(message, stamp_s, frame_id)
    return message


def set_stamp(message, stamp_s: float, frame_id: str = 'camera') -> None:
    message.header.stamp.sec = int(stamp_s)
    message.header.stamp.nanosec = round((stamp_s - int(stamp_s)) * 1e9)
    message.header.frame_id = frame_id


def stamp_s(message) -> float:
    return message.header.stamp.sec + message.header.stamp.nanosec / 1e9


class NodeProcess:
    """`localize` with parameters, in a namespace of its own; ends with the `with` block."""

    def __init__(self, log: Path, *arguments: str, **parameters) -> None:
        self.namespace = f'/robot_{next(_counter)}'
        self.log = log
        command = [sys.executable, '-m', 'netvlad_ros.ros.node', '--ros-args']
        command += ['-r', f'__ns:={self.namespace}', *arguments]
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ['-p', f'{name}:={text}']
        with log.open('w') as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def stop(self, how: int = signal.SIGINT) -> int:
        """Interrupt it; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def said(self) -> str:
        return self.log.read_text()

    def resident_mib(self) -> float:
        pages = int(Path(f'/proc/{self.process.pid}/statm').read_text().split()[1])
        return pages * 4096 / 2**20

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *_) -> None:
        self.stop()


class Client:
    """Publishes images into a node's namespace and keeps everything that the node publishes."""

    def __init__(self, node: NodeProcess) -> None:
        self.process = node
        self.context = rclpy.Context()
        self._clients: dict[str, object] = {}
        rclpy.init(context=self.context)
        self.ros = rclpy.create_node('client', namespace=node.namespace, context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.ros)
        self.matches, self.priors, self.initial_poses = [], [], []
        self.descriptors, self.diagnostics, self.levels = [], {}, []
        self.listen(PlaceMatch, 'place_match', self.matches.append)
        self.listen(PoseWithCovarianceStamped, 'pose_prior', self.priors.append)
        self.listen(PoseWithCovarianceStamped, 'initial_pose', self.initial_poses.append)
        self.listen(GlobalDescriptor, 'descriptor', self.descriptors.append)
        self.listen(DiagnosticArray, '/diagnostics', self._diagnose)

    def listen(self, kind, topic, callback):
        return self.ros.create_subscription(kind, topic, callback, 50)

    def publisher(self, kind=Image, topic='image', reliability=BEST_EFFORT):
        return self.ros.create_publisher(kind, topic, QoSProfile(depth=5, reliability=reliability))

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self.process.namespace + '/'):
                self.diagnostics = {entry.key: entry.value for entry in status.values}
                self.diagnostics['message'] = status.message
                self.diagnostics['level'] = status.level
                self.levels.append(status.level)

    def wait(self, done, timeout_s: float = 15.0, what: str = ''):
        """Spin until done() is true, and return its value."""
        end = time.monotonic() + timeout_s
        while True:
            value = done()
            if value:
                return value
            said = self.process.said()
            assert time.monotonic() < end, f'timed out waiting {what}; the node said:\n{said}'
            assert self.process.process.poll() is None, f'the node died:\n{said}'
            self.executor.spin_once(timeout_sec=0.05)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)

    def call(self, kind, service: str, request=None, timeout_s: float = 15.0):
        client = self._clients.get(service)
        if client is None:
            client = self._clients[service] = self.ros.create_client(kind, service)
            self.wait(client.service_is_ready, timeout_s, f'for service {service}')
            self.spin(0.2)  # the node drops the answer to a client that it has not discovered yet
        self.wait(client.service_is_ready, timeout_s, f'for service {service}')
        future = client.call_async(request or kind.Request())
        self.wait(future.done, timeout_s, f'for an answer of {service}')
        return future.result()

    def state(self) -> str:
        return self.call(GetState, 'netvlad/get_state').current_state.label

    def change_state(self, label: str) -> bool:
        names = {
            'configure': Transition.TRANSITION_CONFIGURE,
            'activate': Transition.TRANSITION_ACTIVATE,
            'deactivate': Transition.TRANSITION_DEACTIVATE,
            'cleanup': Transition.TRANSITION_CLEANUP,
            'shutdown': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
        }
        request = ChangeState.Request(transition=Transition(id=names[label]))
        return self.call(ChangeState, 'netvlad/change_state', request).success

    def set_parameter(self, name: str, value):
        parameter: Parameter = ParameterOf(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return self.call(SetParameters, 'netvlad/set_parameters', request).results[0]

    def get_parameter(self, name: str):
        request = GetParameters.Request(names=[name])
        return self.call(GetParameters, 'netvlad/get_parameters', request).values[0]

    def load_map(self, url) -> LoadMap.Response:
        return self.call(LoadMap, 'load_map', LoadMap.Request(map_url=str(url)))

    def localize(self, image: Image | None = None, *, initial: bool = False) -> Localize.Response:
        request = Localize.Request(image=image or Image(), publish_initial_pose=initial)
        return self.call(Localize, 'localize', request)

    def reset(self) -> Trigger.Response:
        return self.call(Trigger, 'reset')

    def match_of(self, publisher, message, timeout_s: float = 15.0) -> PlaceMatch:
        """Publish until the answer with this stamp arrives, because discovery takes some time."""
        wanted = (message.header.stamp.sec, message.header.stamp.nanosec)

        def answers():
            return [
                m for m in self.matches if (m.header.stamp.sec, m.header.stamp.nanosec) == wanted
            ]

        end = time.monotonic() + timeout_s
        while not answers():
            assert time.monotonic() < end, f'no answer; the node said:\n{self.process.said()}'
            publisher.publish(message)
            again = time.monotonic() + 0.3
            while not answers() and time.monotonic() < again:
                self.executor.spin_once(timeout_sec=0.05)
        return answers()[0]

    def heard_as(self, topic: str = 'image') -> list[ReliabilityPolicy]:
        """Reliability of each image subscription of the node."""
        return [e.qos_profile.reliability for e in self.ros.get_subscriptions_info_by_topic(topic)]

    def close(self) -> None:
        self.executor.shutdown()
        self.ros.destroy_node()
        rclpy.shutdown(context=self.context)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_) -> None:
        self.close()


@pytest.fixture
def bench(tiny_world, tmp_path):
    """Starts nodes on the tiny world's model and map; all are interrupted at the end."""
    started = []

    def start(*arguments, **parameters):
        defaults = {'model': tiny_world / 'model.onnx', 'map': tiny_world / 'map'}
        # With one place in the prior, its pose is known exactly.
        merged = {**defaults, 'autostart': True, 'prior_places': 1, **parameters}
        node = NodeProcess(tmp_path / f'{len(started)}.log', *arguments, **merged)
        client = Client(node)
        started.append((node, client))
        return node, client

    yield start
    for node, client in started:
        client.close()
        node.stop()
        assert 'Traceback' not in node.said()


def xyz_quat(message) -> np.ndarray:
    p, q = message.pose.pose.position, message.pose.pose.orientation
    return np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w])


def passes_nav2_validator(message) -> bool:
    """Whether nav2's validateMsg accepts a PoseWithCovarianceStamped."""
    values = xyz_quat(message)
    covariance = np.array(message.pose.covariance)
    return bool(
        message.header.frame_id
        and np.isfinite(values).all()
        and abs(np.sum(values[3:] ** 2) - 1) < 1e-4
        and np.isfinite(covariance).all()
        and (covariance >= 0).all()
        and (covariance <= 1e9).all()
        and (np.diag(covariance.reshape(6, 6)) > 1e-9).all()
    )


__all__ = [
    'BEST_EFFORT',
    'PLACES',
    'RELIABLE',
    'STEP_M',
    'T_BASE_CAM',
    'Client',
    'CompressedImage',
    'NodeProcess',
    'bench',
    'image_message',
    'passes_nav2_validator',
    'set_stamp',
    'stamp_s',
    'tiny_world',
    'write_map',
    'xyz_quat',
]
