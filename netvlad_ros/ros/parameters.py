"""Parameters: the ROS parameters, declared from the two dataclasses that hold their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, fields, replace
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.ros.node_config import NOT_GIVEN, NodeConfig, mount

ENTRIES: dict[str, Field[Any]] = {
    entry.name: entry for config in (NodeConfig, LocalizerConfig) for entry in fields(config)
}
MOUNT = ParameterDescriptor(
    description='Camera (optical frame) in the base: x y z qx qy qz qw; all zero = from TF. '
    '[m, quaternion]'
)


class Parameters:
    """The node's parameters as two typed configurations that are valid at any moment.

    An invalid value from a file or the command line does not enter a configuration. It stops
    `configure`, not the process.

    Attributes:
        node: The configuration of the node.
        localizer: The configuration of the localizer.
        mounts: T_base_cam (4, 4) of each named camera, or None if its parameter is not set.
        problems: By parameter, why its value is invalid; until the value is replaced by a valid
            one.
    """

    def __init__(
        self,
        ros_node: Node,
        *,
        is_configured: Callable[[], bool],
        apply: Callable[[LocalizerConfig], None],
    ) -> None:
        """Declare all parameters.

        Args:
            ros_node: The node that has the parameters.
            is_configured: Returns whether the node is configured.
            apply: Takes a new configuration of the localizer into service; raises NetvladError to
                refuse it. The configuration of the node needs no such call: it is read when it is
                used.
        """
        self.node = NodeConfig()
        self.localizer = LocalizerConfig()
        self.mounts: dict[str, Array | None] = {}
        self.problems: dict[str, str] = {}
        self._ros_node = ros_node
        self._is_configured = is_configured
        self._apply = apply
        for name, entry in ENTRIES.items():
            self._declare(name, entry)
        ros_node.add_on_set_parameters_callback(self._on_set)
        self._warn_of_unknown()

    def declare_mounts(self) -> None:
        """Declare NAME.T_base_cam of every camera, after `cameras` is known.

        Raises:
            NetvladError: A value is no pose.
        """
        self.mounts = {}
        for camera in self.node.cameras:
            name = f'{camera}.T_base_cam'
            if not self._ros_node.has_parameter(name):
                try:
                    self._ros_node.declare_parameter(name, list(NOT_GIVEN), MOUNT)
                except ParameterException as error:
                    raise NetvladError(
                        f'parameter {name} must be seven numbers with decimals'
                    ) from error
            value = self._ros_node.get_parameter(name).value
            self.mounts[camera] = mount(name, tuple(value))

    def _declare(self, name: str, entry: Field[Any]) -> None:
        ros_node, descriptor = self._ros_node, _descriptor(entry)
        default: Any = entry.default
        # An empty list has no type of its own.
        declared = list(default) or Parameter.Type.STRING_ARRAY if _is_list(entry) else default
        try:
            value = ros_node.declare_parameter(name, declared, descriptor).value
            if value is None:
                if default != ():
                    raise ParameterException('it is empty', [name])
                value = []
                ros_node.set_parameters([Parameter(name, Parameter.Type.STRING_ARRAY, value)])
            self.node, self.localizer = self._changed({name: value})
        except (ParameterException, NetvladError) as error:
            self.problems[name] = _sentence(name, entry, error)
            if not ros_node.has_parameter(name):
                ros_node.declare_parameter(name, declared, descriptor, ignore_override=True)

    def _changed(self, values: dict[str, Any]) -> tuple[NodeConfig, LocalizerConfig]:
        def of(config: type) -> dict[str, Any]:
            return {
                entry.name: tuple(values[entry.name]) if _is_list(entry) else values[entry.name]
                for entry in fields(config)
                if entry.name in values
            }

        return replace(self.node, **of(NodeConfig)), replace(self.localizer, **of(LocalizerConfig))

    def _on_set(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        # No other callback of this node may refuse, so accepted values are also applied here.
        # The callback after setting does not exist before ROS 2 Iron.
        values = {entry.name: entry.value for entry in parameters if entry.name in ENTRIES}
        try:
            mounts = {
                camera: mount(entry.name, tuple(entry.value))
                for entry in parameters
                for camera in self.node.cameras
                if entry.name == f'{camera}.T_base_cam' and camera in self.mounts
            }
            if self._is_configured():
                for name, value in values.items():
                    self._refuse_if_fixed(name, value)
            node, localizer = self._changed(values)
            if self._is_configured():
                self._apply(localizer)
        except NetvladError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.node, self.localizer = node, localizer
        self.mounts.update(mounts)
        for name in values:
            self.problems.pop(name, None)
        return SetParametersResult(successful=True)

    def _refuse_if_fixed(self, name: str, value: Any) -> None:
        entry = ENTRIES[name]
        given = tuple(value) if _is_list(entry) else value
        if entry.metadata.get('fixed', False) and given != getattr(self.node, name):
            raise NetvladError(
                f'{name} can change only while the node is unconfigured: clean it up first'
                + (' or call load_map' if name == 'map' else '')
            )

    def _warn_of_unknown(self) -> None:
        # ROS ignores a misspelt name in a parameter file; the robot would run with defaults.
        given = getattr(self._ros_node, '_parameter_overrides', {})
        known = {*ENTRIES, 'use_sim_time', 'start_type_description_service'}
        known |= {f'{camera}.T_base_cam' for camera in self.node.cameras}
        for name in sorted(given):
            if name not in known and ('.' not in name or name.endswith('.T_base_cam')):
                self._ros_node.get_logger().warning(
                    f"parameter '{name}' is unknown to this node: misspelt?"
                )


def _is_list(entry: Field[Any]) -> bool:
    return isinstance(entry.default, tuple)


def _descriptor(entry: Field[Any]) -> ParameterDescriptor:
    metadata = entry.metadata
    unit = f' [{metadata["unit"]}]' if metadata['unit'] else ''
    constraints = []
    if metadata.get('choices'):
        constraints.append(f'one of {", ".join(metadata["choices"])}')
    if metadata.get('fixed'):
        constraints.append('changes only while the node is unconfigured')
    descriptor = ParameterDescriptor(
        description=metadata['description'] + unit,
        additional_constraints='; '.join(constraints),
    )
    if 'range' in metadata and not isinstance(entry.default, bool):
        low, high = metadata['range']
        if isinstance(entry.default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
    return descriptor


def _sentence(name: str, entry: Field[Any], error: Exception) -> str:
    if isinstance(error, NetvladError):
        return str(error)
    kinds = {bool: 'true or false', int: 'a whole number', float: 'a number with decimals (1.0)'}
    kind = kinds.get(type(entry.default), 'a text')
    if _is_list(entry):
        kind = 'seven numbers with decimals' if entry.default else 'a list of texts'
    elif 'range' in entry.metadata and not isinstance(entry.default, bool):
        kind += ' in {}..{}'.format(*entry.metadata['range'])
    return f'parameter {name} must be {kind}; what was given is something else'
