"""What the node says about itself on /diagnostics."""

from __future__ import annotations

from netvlad_ros.core.localizer import Localizer
from netvlad_ros.ros.diagnostics import Report
from netvlad_ros.ros.live_camera import LiveCamera
from netvlad_ros.ros.live_cameras import LiveCameras
from netvlad_ros.ros.live_run import LiveRun
from netvlad_ros.ros.node_config import NodeConfig
from netvlad_ros.ros.recognizer import Recognizer


def node_report(
    recognizer: Recognizer | None, live: LiveCameras | None, config: NodeConfig, failure: str
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


def _describe(report: Report, recognizer: Recognizer) -> None:
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


def _odometry(run: LiveRun, recognizer: Recognizer, config: NodeConfig) -> str:
    if not config.use_odom:
        return 'off: parameter use_odom is false'
    if run.odometry is None:
        return 'off: only the belief needs it'
    if not run.odometry.received:
        return f'none has come on {run.odometry.topic}'
    return recognizer.rig.motion


def _add_camera(report: Report, camera: LiveCamera) -> None:
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
