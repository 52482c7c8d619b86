"""The lifecycle node as a process of its own, started and managed as a user would do it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node

from netvlad_ros.core.errors import NetvladError

NAME = 'netvlad'
_STOP_S = 5.0


class ChildProcess:
    """A Python module run as a process; it is stopped when its `with` block ends.

    Attributes:
        name: Name of the module.
        log: File of its output.
    """

    def __init__(self, module: str, arguments: list[str], log: Path) -> None:
        self.name, self.log = module.rpartition('.')[2], log
        with log.open('wb') as sink:
            self._process = subprocess.Popen(
                [sys.executable, '-m', module, *arguments], stdout=sink, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """Interrupt, then terminate, then kill the process: none stays behind."""
        for order in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(order)
                try:
                    self._process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    continue

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raise NetvladError with the last line of the log if the process failed."""
        if self._process.poll():
            raise self.failure(f'ended with exit code {self._process.returncode}')

    def failure(self, what: str) -> NetvladError:
        """An error that ends with the last line of the log."""
        lines = self.log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        last = lines[-1] if lines else 'it said nothing'
        return NetvladError(f'the {self.name} process {what}: {last} (log: {self.log})')


def start_node(
    *, map_folder: Path, model: Path, image_topic: str, info_topic: str, pose_of: str, log: Path
) -> ChildProcess:
    """Start `localize`; it waits, unconfigured, for calls of its lifecycle services.

    Args:
        map_folder: The map.
        model: Model bundle (.onnx).
        image_topic: Topic of the images.
        info_topic: Topic of the camera_info.
        pose_of: 'base' or 'camera'.
        log: File of its output.
    """
    parameters = {'map': map_folder.resolve(), 'model': model.resolve(), 'pose_of': pose_of}
    arguments = ['--ros-args', '-r', f'image:={image_topic}', '-r', f'camera_info:={info_topic}']
    for name, value in parameters.items():
        arguments += ['-p', f'{name}:={value}']
    return ChildProcess('netvlad_ros.ros.node', arguments, log)


def bring_up(process: ChildProcess, caller: Node, timeout_s: float = 30.0) -> None:
    """Configure and activate the node through its lifecycle services.

    Args:
        process: The process of the node.
        caller: The node that calls.
        timeout_s: Longest time until the node is active [s].

    Raises:
        NetvladError: The node refuses, ends or does not answer; with the node's own reason.
    """
    client = caller.create_client(ChangeState, f'/{NAME}/change_state')
    deadline = time.monotonic() + timeout_s
    while not client.wait_for_service(timeout_sec=0.2):
        process.check()
        if time.monotonic() > deadline:
            raise process.failure(f'offered no lifecycle service within {timeout_s:g} s')
    for step in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        answer = client.call_async(ChangeState.Request(transition=Transition(id=step)))
        while not answer.done():
            rclpy.spin_once(caller, timeout_sec=0.1)
            process.check()
            if time.monotonic() > deadline:
                raise process.failure(f'did not come up within {timeout_s:g} s')
        if not answer.result().success:
            raise process.failure('refused to come up')
    caller.destroy_client(client)
