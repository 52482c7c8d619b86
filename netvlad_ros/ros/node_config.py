"""NodeConfig: the settings of the node that are not about localization itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from netvlad_ros.core.camera.image import MAX_PIXELS
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, mount_matrix
from netvlad_ros.core.localizer_config import check_ranges, tunable

NOT_GIVEN = (0.0,) * 7
MAX_CAMERAS = 16


def setting(
    default: Any, unit: str, description: str, *, choices: tuple[str, ...] = (), fixed: bool = False
) -> Any:
    """Declare a field without a range.

    Args:
        default: The default value.
        unit: Unit of the value; '' if it has none.
        description: What the setting does; it is printed.
        choices: The permitted values; empty: any.
        fixed: Whether the setting changes only while the node is unconfigured.
    """
    metadata = {'unit': unit, 'description': description, 'choices': choices, 'fixed': fixed}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NodeConfig:
    """Settings of the node; each field is a ROS parameter.

    Raises:
        NetvladError: A value is not among the choices, out of range or not a pose.
    """

    model: str = setting(
        '', 'path', 'Model bundle (.onnx); empty = the model shipped with the package.', fixed=True
    )
    map: str = setting(
        '', 'path', 'Map folder: a path, file:///path or package://package/path.', fixed=True
    )
    feature_model: str = setting(
        '',
        'path',
        'Bundle of local features (.onnx) that the map was built with; not for SIFT, ORB and those '
        'of the model itself.',
        fixed=True,
    )
    device: str = setting(
        'auto',
        '',
        'Where the model runs; one asked for by name must come up. auto = GPU if there is one.',
        choices=('auto', 'cpu', 'cuda', 'tensorrt'),
        fixed=True,
    )
    threads: int = setting(0, 'threads', 'Of CPU inference; 0 = one per core.', fixed=True)
    autostart: bool = setting(
        False, '', 'Configure and activate without being told to.', fixed=True
    )
    cameras: tuple[str, ...] = setting(
        (),
        'names',
        'Several cameras, on NAME/`image` and NAME/`camera_info`; the first is the reference.',
        fixed=True,
    )
    image_transport: str = setting(
        'raw',
        '',
        'raw: Image on `image`; compressed: CompressedImage on `image`/compressed.',
        choices=('raw', 'compressed'),
        fixed=True,
    )
    image_qos: str = setting(
        'auto',
        '',
        'auto: as the publishers on the topic offer; sensor_data: best effort; reliable.',
        choices=('auto', 'sensor_data', 'reliable'),
    )
    max_image_pixels: int = tunable(
        16_777_216, 'px', 10_000, MAX_PIXELS, 'Larger images are skipped before they are decoded.'
    )
    image_timeout_s: float = tunable(
        5.0, 's', 0.1, 3600.0, 'Warn when no image has come for this long.'
    )
    time_jump_s: float = tunable(
        1.0, 's', 0.0, 3600.0, 'Stamps going back further than this begin a new run.'
    )
    lost_after_s: float = tunable(
        10.0, 's', 0.1, 86400.0, 'Without a fix for this long the robot is lost: see initial_pose.'
    )
    frame_budget_ms: float = tunable(
        200.0,
        'ms',
        0.0,
        10000.0,
        'From reception to answer; verification that would take longer is skipped, with a reason.',
    )
    use_odom: bool = setting(
        True,
        '',
        'Move the belief over the places with the odometry on `odom`, where there is some.',
    )
    pose_of: str = setting('base', '', 'Whose pose the prior is.', choices=('base', 'camera'))
    base_frame_id: str = setting(
        'base_link', 'frame', 'The base, when its pose is looked up in TF.'
    )
    T_base_cam: tuple[float, ...] = setting(
        NOT_GIVEN,
        'm, quaternion',
        'Camera (optical frame) in the base: x y z qx qy qz qw; all zero = from TF, else the map.',
    )
    publish_descriptor: bool = setting(False, '', 'Publish the descriptor of every image.')

    def __post_init__(self) -> None:
        check_ranges(self)
        if not 0 <= self.threads <= 1024:
            raise NetvladError(f'threads is {self.threads}, it must lie in 0..1024')
        check_names(self.cameras)
        if mount('T_base_cam', self.T_base_cam) is not None and self.cameras:
            raise NetvladError(
                'T_base_cam is of the one camera without a name; with cameras, set '
                + ', '.join(f'{name}.T_base_cam' for name in self.cameras)
            )
        if len(self.cameras) > 1 and self.pose_of == 'camera':
            raise NetvladError(
                'pose_of is camera, but there are several, and a prior does not say whose pose it '
                'is: set pose_of to base'
            )

    @property
    def reference(self) -> str:
        """Name of the camera whose pose the belief estimates; '' of the only camera."""
        return self.cameras[0] if self.cameras else ''


def check_names(cameras: tuple[str, ...]) -> None:
    """Raise NetvladError unless the names of cameras are valid topic names without repetition."""
    for name in cameras:
        if not re.fullmatch('[A-Za-z][A-Za-z0-9_]{0,63}', name) or '__' in name:
            raise NetvladError(
                f"cameras holds '{name[:40]}', it must hold names of letters, digits and single _"
            )
    if len(set(cameras)) < len(cameras) or len(cameras) > MAX_CAMERAS:
        raise NetvladError(f'cameras must hold at most {MAX_CAMERAS} names, each once')


def mount(name: str, numbers: tuple[float, ...]) -> Array | None:
    """Mount of a camera from a parameter.

    Args:
        name: Name of the parameter.
        numbers: x, y, z [m], qx, qy, qz, qw; all zero: not given.

    Returns:
        T_base_cam (4, 4), or None if it is not given.

    Raises:
        NetvladError: The numbers are no pose.
    """
    if numbers == NOT_GIVEN:
        return None
    if len(numbers) != 7:
        raise NetvladError(f'{name} has {len(numbers)} numbers, it needs 7: x y z qx qy qz qw')
    try:
        return mount_matrix(numbers)
    except NetvladError as error:
        raise NetvladError(f'{name}: {error}') from error
