"""/diagnostics, once a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from netvlad_ros.core.localizer import Localizer
from netvlad_ros.ros.camera_stream import CameraStream
from netvlad_ros.ros.camera_streams import CameraStreams
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.session import Session
from netvlad_ros.ros.shared_localizer import SharedLocalizer

PERIOD_S = 1.0


@dataclass
class Report:
    """What the node says about itself: the troubles found, and values by name."""

    summary: str
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)


class Diagnostics:
    """Publishes report() on /diagnostics at 1 Hz."""

    def __init__(self, ros_node: Node, report: Callable[[], Report]) -> None:
        self._ros_node = ros_node
        self._report = report
        self._publisher = ros_node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A steady clock: with use_sim_time and a paused simulation, diagnostics still come.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = ros_node.create_timer(PERIOD_S, self.publish, clock=steady)

    def publish(self) -> None:
        """Publish now."""
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
    recognizer: SharedLocalizer | None, live: CameraStreams | None, config: NodeConfig, failure: str
) -> Report:
    """recognizer: None unless configured. live: None unless active. failure: of a transition."""
    if recognizer is None:
        report = Report('not configured')
    else:
        report = Report('active' if live else 'inactive')
        _describe(report, recognizer)
    if failure:
        report.errors.append(failure)
    if recognizer is not None and live is not None:
        report.values['odometry'] = _odometry(live.run, recognizer, config)
        report.values['time jumps back'] = str(live.run.time_jumps)
        if live.run.odometry is not None:
            report.values.update(live.run.odometry.summary())
        for camera in live.each:
            _add_camera(report, camera)
    return report


def _describe(report: Report, recognizer: SharedLocalizer) -> None:
    localizer, place_map = recognizer.localizer, recognizer.localizer.place_map
    sources = dict(recognizer.rig.sources)  # workers add to it
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


def _odometry(run: Session, recognizer: SharedLocalizer, config: NodeConfig) -> str:
    if not config.use_odom:
        return 'off: parameter use_odom is false'
    if run.odometry is None:
        return 'off: only the belief needs it'
    if not run.odometry.received:
        return f'none has come on {run.odometry.topic}'
    return recognizer.rig.motion


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
