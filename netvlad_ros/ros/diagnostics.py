"""Diagnostics: what the node reports on /diagnostics, once a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.verification.camera_check import CheckState
from netvlad_ros.ros.camera_stream import CameraStream
from netvlad_ros.ros.camera_streams import CameraStreams
from netvlad_ros.ros.guarded_executor import GuardedExecutor
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.session import Session
from netvlad_ros.ros.shared_localizer import SharedLocalizer

PERIOD_S = 1.0


@dataclass
class Report:
    """What the node reports about itself.

    Attributes:
        summary: State of the node in words.
        errors: Errors found.
        warnings: Warnings found.
        values: Values by name.
    """

    summary: str
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)


class Diagnostics:
    """Publishes the report of the node on /diagnostics at 1 Hz."""

    def __init__(self, ros_node: Node, report: Callable[[], Report]) -> None:
        self._ros_node = ros_node
        self._report = report
        self._publisher = ros_node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A steady clock: diagnostics are also published while a simulation is paused.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = ros_node.create_timer(PERIOD_S, self.publish, clock=steady)

    def publish(self) -> None:
        """Publish the report now."""
        report = self._report()
        level, troubles = DiagnosticStatus.OK, report.errors + report.warnings
        if troubles:
            level = DiagnosticStatus.ERROR if report.errors else DiagnosticStatus.WARN
        status = DiagnosticStatus(
            level=level,
            name=f'{self._ros_node.get_fully_qualified_name()}: place recognition',
            message='; '.join([*troubles, report.summary] if troubles else [report.summary]),
            values=[KeyValue(key=key, value=value) for key, value in report.values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._ros_node.get_clock().now().to_msg()
        self._publisher.publish(array)


def node_report(
    shared_localizer: SharedLocalizer | None,
    streams: CameraStreams | None,
    config: NodeConfig,
    failure: str,
) -> Report:
    """The report of a node.

    Args:
        shared_localizer: None unless the node is configured.
        streams: None unless the node is active.
        config: The configuration of the node.
        failure: Why the last transition failed; '' if it did not fail.
    """
    if shared_localizer is None:
        report = Report('not configured')
    else:
        report = Report('active' if streams else 'inactive')
        _describe(report, shared_localizer)
    if failure:
        report.errors.append(failure)
    if shared_localizer is not None and streams is not None:
        report.values['odometry'] = _odometry(streams.session, shared_localizer, config)
        report.values['time jumps back'] = str(streams.session.time_jumps)
        if streams.session.odometry is not None:
            report.values.update(streams.session.odometry.summary())
        for camera in streams.each:
            _add_camera(report, camera)
            add_check(report, camera.name, shared_localizer.localizer)
    return report


def add_process(report: Report, executor: GuardedExecutor | None, namesake: str) -> None:
    """Add what concerns the process in every state.

    Args:
        report: The report of the node.
        executor: Runs the callbacks; None: another one does, which counts nothing.
        namesake: Why another node is in the way; '' if none is.
    """
    if namesake:
        report.warnings.append(namesake)
    if executor is None:
        return
    report.values['callback failures'] = str(executor.failures)
    report.values['last callback failure'] = executor.last_failure
    new = executor.take_new_failures()
    if new:
        report.warnings.append(f'{new} callbacks failed: {executor.last_failure}')


def _describe(report: Report, shared_localizer: SharedLocalizer) -> None:
    localizer, place_map = shared_localizer.localizer, shared_localizer.localizer.place_map
    sources = dict(shared_localizer.rig.sources)  # workers add to it
    report.values = {
        'accelerator': localizer.bundle.provider,
        'model': str(localizer.bundle.path),
        'model id': localizer.bundle.metadata.model_id,
        'map': str(place_map.directory),
        'map id': place_map.map_id,
        'map frame': place_map.frame_id,
        'places': str(len(place_map)),
        'verification': _verification(localizer),
        'belief': 'on' if localizer.config.belief else 'off: parameter belief is false',
        'extrinsics': ', '.join(
            f'{camera}: {source}' if camera else source for camera, source in sources.items()
        )
        or 'not needed yet',
    }
    unknown = [camera for camera, source in sources.items() if source == 'unknown']
    if unknown:
        whose = ', '.join(name for name in unknown if name)
        report.warnings.append(
            f'no priors{f" of {whose}" if whose else ""}: the camera pose on the robot is not known'
        )


def _verification(localizer: Localizer) -> str:
    features = localizer.place_map.features
    if not localizer.config.verification:
        return 'off: parameter verification is false'
    if features is None:
        return 'off: the map has no features; build it with --features'
    landmarks = 'with' if features.has_landmarks else 'without'
    return f'on: {features.spec.kind}, {landmarks} landmarks'


def _odometry(session: Session, shared_localizer: SharedLocalizer, config: NodeConfig) -> str:
    if not config.use_odom:
        return 'off: parameter use_odom is false'
    if session.odometry is None:
        return 'off: only the belief needs it'
    if not session.odometry.received:
        return f'none has come on {session.odometry.topic}'
    return shared_localizer.rig.motion


def add_check(report: Report, camera: str, localizer: Localizer) -> None:
    """Add what the check of a camera's calibration against the map says.

    Args:
        report: The report of the node.
        camera: Name of the camera; '' of the only one.
        localizer: The localizer in service.
    """
    prefix, mode = f'{camera}: ' if camera else '', localizer.config.camera_check
    check = localizer.camera_checks.newest(camera)
    if mode == 'trust' or check is None:
        words = (
            'off: parameter camera_check is trust' if mode == 'trust' else 'nothing to check yet'
        )
        report.values[f'{prefix}camera check'] = words
        return
    words = report.values[f'{prefix}camera check'] = check.words
    if check.state is CheckState.CONTRADICTS and mode == 'refuse':
        report.errors.append(f'{prefix}{words}')
    elif check.is_doubted:
        report.warnings.append(f'{prefix}{words}')


def _add_camera(report: Report, camera: CameraStream) -> None:
    prefix = f'{camera.name}: ' if camera.name else ''
    calibration = camera.calibration
    values = {
        'image topic': camera.input.topic,
        'image QoS': camera.input.qos,
        'camera_info': calibration.state,
        'camera_info bad': str(calibration.bad),
        'last bad camera_info': calibration.last_bad,
        **camera.statistics.summary(),
    }
    report.values.update({prefix + name: value for name, value in values.items()})
    if camera.input.problem:
        report.warnings.append(camera.input.problem)
    new_bad = camera.statistics.take_new_bad()
    if new_bad:
        report.warnings.append(f'{prefix}{new_bad} bad images: {camera.statistics.last_bad}')
