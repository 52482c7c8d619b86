"""namesake_warning: whether another node has the name and namespace of this one."""

from __future__ import annotations

from rclpy.node import Node


def namesake_warning(ros_node: Node) -> str:
    """Why two nodes of one name are a problem, if the graph has another one; else ''."""
    own = ros_node.get_name(), ros_node.get_namespace()
    others = ros_node.get_node_names_and_namespaces().count(own) - 1
    if others < 1:
        return ''
    return (
        f'{others} more node{"s" if others > 1 else ""} with the name '
        f'{ros_node.get_fully_qualified_name()}: all publish on the same topics and answer the '
        'same services; give each robot a namespace of its own, or end the others'
    )
