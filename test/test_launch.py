"""The launch file brings the node to active by itself. Needs launch_ros, of a full ROS 2."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from node_process import Client, NodeProcess, tiny_world  # noqa: F401, a fixture

pytestmark = pytest.mark.alone

pytest.importorskip('launch_ros', reason='launch_ros is not installed (not among the wheels)')

LAUNCH = Path(__file__).resolve().parent.parent / 'launch' / 'localize.launch.py'
RUN = (
    'import sys, launch; from launch.launch_description_sources import *; '
    'service = launch.LaunchService(argv=sys.argv[2:]); '
    'source = AnyLaunchDescriptionSource(sys.argv[1]); '
    'action = launch.actions.IncludeLaunchDescription(source, '
    "launch_arguments=[a.split(':=', 1) for a in sys.argv[2:]]); "
    'service.include_launch_description(launch.LaunchDescription([action])); '
    'sys.exit(service.run())'
)


class LaunchProcess(NodeProcess):
    """The launch file run as `ros2 launch` does it."""

    def __init__(self, log: Path, namespace: str, **arguments) -> None:
        self.namespace = namespace
        self.log = log
        command = [sys.executable, '-c', RUN, str(LAUNCH), f'namespace:={namespace}']
        command += [f'{name}:={value}' for name, value in arguments.items()]
        environment = {k: v for k, v in os.environ.items() if not k.startswith('FASTRTPS_')}
        with log.open('w') as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment
            )


@pytest.mark.parametrize('autostart', [True, False])
def test_autostart(tiny_world, tmp_path, autostart):  # noqa: F811
    process = LaunchProcess(
        tmp_path / 'launch.log',
        f'/launched_{autostart}'.lower(),
        map=tiny_world / 'map',
        model=tiny_world / 'model.onnx',
        image='/front/image_raw',
        odom='/wheels/odom',
        autostart=str(autostart).lower(),
    )
    with process, Client(process) as client:
        wanted = 'active' if autostart else 'unconfigured'
        client.wait(lambda: client.state() == wanted, 30.0)
        assert client.get_parameter('top_k').integer_value == 10, 'from the parameter file'
        assert client.get_parameter('map').string_value == str(tiny_world / 'map')
        if autostart:
            assert client.heard_as('/front/image_raw')
            assert client.heard_as('/wheels/odom')
        assert process.stop(signal.SIGINT) == 0
        assert 'Traceback' not in process.said()
