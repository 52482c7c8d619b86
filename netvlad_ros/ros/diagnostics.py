"""The node's state for /diagnostics, once a second whatever the clock does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

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
