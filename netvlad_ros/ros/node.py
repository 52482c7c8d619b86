"""The lifecycle node `netvlad`: images in, place matches and pose priors out."""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import rclpy
from ament_index_python.packages import get_package_share_directory
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.utilities import remove_ros_args

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.ros.camera_streams import CameraStreams
from netvlad_ros.ros.conversions import path_of_url
from netvlad_ros.ros.diagnostics import Diagnostics, Report, add_process, node_report
from netvlad_ros.ros.guarded_executor import GuardedExecutor
from netvlad_ros.ros.inputs.camera_rig import Rig
from netvlad_ros.ros.inputs.extrinsics import Extrinsics
from netvlad_ros.ros.map_loading import localizer_on_map
from netvlad_ros.ros.namesake import namesake_warning
from netvlad_ros.ros.outputs.publishers import Publishers
from netvlad_ros.ros.parameters import Parameters
from netvlad_ros.ros.services import Services
from netvlad_ros.ros.shared_localizer import SharedLocalizer

SHIPPED_MODEL = 'models/mobilenetv2_edgepoint2_netvlad_2048.onnx'


class LocalizeNode(LifecycleNode):
    """Lifecycle node: loads model and map at configure, listens and answers while active.

    One thread spins the node and stays free for services, TF and time. Each CameraStream has a
    worker thread of its own for images.

    Attributes:
        parameters: The parameters of the node.
    """

    def __init__(self) -> None:
        super().__init__('netvlad')
        self._shared_localizer: SharedLocalizer | None = None
        # rclpy.Node has attributes _publishers and _services of its own.
        self._node_publishers: Publishers | None = None
        self._node_services: Services | None = None
        self._streams: CameraStreams | None = None
        self._failure = ''
        self._namesake = ''
        self.parameters = Parameters(
            self, is_configured=lambda: self._shared_localizer is not None, apply=self._apply
        )
        self._diagnostics = Diagnostics(self, self._report)
        refuse_impossible_transitions(self)

    def start(self) -> None:
        """Configure and activate; a failure is logged, and the node waits for transitions."""
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load model and map, offer services."""
        return self._transition(self._configure, undo=self._cleanup)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start listening."""
        super().on_activate(state)
        return self._transition(self._activate, undo=self._deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening."""
        result = self._transition(self._deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release model, map, services and publishers."""
        return self._transition(self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything, from any state."""
        return self._transition(self.close)

    def close(self) -> None:
        """Stop listening, and release model and map."""
        self._deactivate()
        self._cleanup()

    def _transition(
        self, work: Callable[[], None], undo: Callable[[], None] = lambda: None
    ) -> TransitionCallbackReturn:
        # rclpy turns an exception here into an error state and logs nothing.
        try:
            work()
        except Exception as error:
            undo()
            expected = isinstance(error, NetvladError)
            self._failure = str(error) if expected else f'internal error: {error!r}'
            self.get_logger().error(self._failure)
            if not expected:
                self.get_logger().debug(traceback.format_exc())
            return TransitionCallbackReturn.FAILURE
        self._failure = ''
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        if self.parameters.problems:
            raise NetvladError('; '.join(self.parameters.problems.values()))
        self.parameters.declare_mounts()
        config = self.parameters.node
        if not config.map:
            raise NetvladError('parameter map is empty: name the map folder to localize on')
        bundle = ModelBundle.load(
            _model_path(config.model), device=config.device, threads=config.threads
        )
        localizer = localizer_on_map(bundle, config.map, config, self.parameters.localizer)
        extrinsics = Extrinsics(self, lambda: self.parameters.mounts)
        self._shared_localizer = SharedLocalizer(localizer, Rig(extrinsics))
        self._node_publishers = Publishers(self)
        self._node_services = Services(
            self, self._shared_localizer, self.parameters, lambda: self._streams
        )
        place_map = localizer.place_map
        self.get_logger().info(
            f'{bundle.metadata.name} on {bundle.provider}; map {place_map.directory}, '
            f'{len(place_map)} places in frame {place_map.frame_id}'
        )

    def _activate(self) -> None:
        assert self._shared_localizer is not None and self._node_publishers is not None
        self._streams = CameraStreams(
            self, self._shared_localizer, self._node_publishers, lambda: self.parameters.node
        )

    def _deactivate(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.close()

    def _cleanup(self) -> None:
        shared_localizer, self._shared_localizer = self._shared_localizer, None
        for part in (self._node_services, self._node_publishers, shared_localizer):
            if part is not None:
                part.close()
        self._node_services = self._node_publishers = None

    def _apply(self, localizer: LocalizerConfig) -> None:
        if self._shared_localizer is not None:
            self._shared_localizer.configure(localizer)

    def _report(self) -> Report:
        report = node_report(
            self._shared_localizer, self._streams, self.parameters.node, self._failure
        )
        namesake = namesake_warning(self)
        if namesake and namesake != self._namesake:
            self.get_logger().warning(namesake)
        self._namesake = namesake
        executor = self.executor
        add_process(report, executor if isinstance(executor, GuardedExecutor) else None, namesake)
        return report


def _model_path(model: str) -> Path:
    if model:
        return path_of_url(model)
    return Path(get_package_share_directory('netvlad_ros')) / SHIPPED_MODEL


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; the exit code is 0 then."""
    argv = list(sys.argv if args is None else ['localize', *args])
    parser = argparse.ArgumentParser(
        prog='localize', description=f'{__doc__} Parameters: --ros-args -p NAME:=VALUE.'
    )
    node: LocalizeNode | None = None
    initialised = False
    try:
        parser.parse_args(remove_ros_args(argv)[1:])
        rclpy.init(args=argv)
        initialised = True
        node = LocalizeNode()
        if node.parameters.node.autostart:
            node.start()
        executor = GuardedExecutor(node.get_logger().error)
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError as error:
        if not initialised:
            # Malformed --ros-args or parameter file: print the message of rcl.
            print(f'localize: {" ".join(str(error).split())}', file=sys.stderr)
            return 1
        if rclpy.ok():
            raise
        # else interrupted during setup: rcl notices before Python does
    finally:
        # A second Ctrl-C must not interrupt the clean-up. With launch, there are always two: the
        # terminal's and launch's.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def refuse_impossible_transitions(node: LifecycleNode) -> None:
    """Answer a transition that the present state does not have with success = False.

    rclpy (seen in Jazzy 7.1) raises RCLError out of the service callback instead, and that ends the
    process. A request to activate an unconfigured node would end the node.
    """
    service = node._service_change_state
    change_state = service.callback

    def guarded(
        request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        wanted: Transition = request.transition
        possible = node._state_machine.available_transitions
        if not any(wanted.label == entry[1] or wanted.id == entry[0] for entry in possible):
            current = node._state_machine.current_state[1]
            node.get_logger().warning(
                f"transition '{wanted.label or wanted.id}' is not possible in state {current}"
            )
            response.success = False
            return response
        return change_state(request, response)

    service.callback = guarded


if __name__ == '__main__':
    sys.exit(main())
