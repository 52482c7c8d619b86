"""ROS parameters, declared once from the dataclasses that hold them."""

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
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.ros.node_config import NodeConfig

ENTRIES: dict[str, Field[Any]] = {
    entry.name: entry for config in (NodeConfig, LocalizerConfig) for entry in fields(config)
}


class Parameters:
    """The node's parameters as two typed configurations that are valid at any moment.

    node, localizer: the configurations. Values from a file or command line that cannot be used are
    kept out of them and named in `problems` (parameter -> sentence) until they are mended, so that
    a bad value stops `configure` instead of the process.
    """

    def __init__(
        self,
        ros_node: Node,
        *,
        is_configured: Callable[[], bool],
        apply: Callable[[NodeConfig, LocalizerConfig], None],
    ) -> None:
        """apply: takes new configurations into service; raises NetvladError to refuse them."""
        self.node = NodeConfig()
        self.localizer = LocalizerConfig()
        self.problems: dict[str, str] = {}
        self._is_configured = is_configured
        self._apply = apply
        for name, entry in ENTRIES.items():
            self._declare(ros_node, name, entry)
        ros_node.add_on_set_parameters_callback(self._on_set)
        self._warn_of_unknown(ros_node)

    def _declare(self, ros_node: Node, name: str, entry: Field[Any]) -> None:
        default = list(entry.default) if isinstance(entry.default, tuple) else entry.default
        descriptor = _descriptor(entry)
        try:
            value = ros_node.declare_parameter(name, default, descriptor).value
            self.node, self.localizer = self._changed({name: value})
        except (ParameterException, NetvladError) as error:
            self.problems[name] = _sentence(name, entry, error)
            if not ros_node.has_parameter(name):
                ros_node.declare_parameter(name, default, descriptor, ignore_override=True)

    def _changed(self, values: dict[str, Any]) -> tuple[NodeConfig, LocalizerConfig]:
        def of(config: type) -> dict[str, Any]:
            return {
                entry.name: tuple(values[entry.name])
                if isinstance(entry.default, tuple)
                else values[entry.name]
                for entry in fields(config)
                if entry.name in values
            }

        return replace(self.node, **of(NodeConfig)), replace(self.localizer, **of(LocalizerConfig))

    def _on_set(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        # The only callback of this node that may refuse, so what it accepts it also applies; the
        # callback for afterwards does not exist before ROS 2 Iron.
        values = {entry.name: entry.value for entry in parameters if entry.name in ENTRIES}
        try:
            if self._is_configured():
                for name, value in values.items():
                    current = getattr(self.node, name, value)
                    fixed = ENTRIES[name].metadata.get('fixed', False)
                    if fixed and value != current:
                        raise NetvladError(
                            f'{name} can change only while the node is unconfigured: clean it up '
                            'first' + (' or call load_map' if name == 'map' else '')
                        )
            node, localizer = self._changed(values)
            if self._is_configured():
                self._apply(node, localizer)
        except NetvladError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.node, self.localizer = node, localizer
        for name in values:
            self.problems.pop(name, None)
        return SetParametersResult(successful=True)

    def _warn_of_unknown(self, ros_node: Node) -> None:
        # ROS swallows a misspelt name in a parameter file; a robot then runs on defaults.
        given = getattr(ros_node, '_parameter_overrides', {})
        known = {*ENTRIES, 'use_sim_time', 'start_type_description_service'}
        for name in sorted(name for name in given if name not in known and '.' not in name):
            ros_node.get_logger().warning(f"parameter '{name}' is unknown to this node: misspelt?")


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
    if 'range' in metadata:
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
    limits = ''
    if 'range' in entry.metadata:
        low, high = entry.metadata['range']
        limits = f' in {low}..{high}'
    kinds = {bool: 'true or false', int: 'a whole number', float: 'a number with decimals (1.0)'}
    kind = kinds.get(type(entry.default), 'a text')
    if isinstance(entry.default, tuple):
        kind = 'seven numbers with decimals'
    return f'parameter {name} must be {kind}{limits}; what was given is something else'
