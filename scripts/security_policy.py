#!/usr/bin/env python3
"""Writes an SROS 2 policy that grants a running node only what it has opened, and TF and clock.

    python scripts/security_policy.py --node /netvlad > config/security/netvlad.policy.xml

The node must be active, with the parameters that it is used with.
"""

from __future__ import annotations

import argparse
import sys
import time
import xml.etree.ElementTree as ET
from typing import Any

import rclpy

# Opened only with tf2_ros, with use_sim_time, or with image_transport: compressed.
OPTIONAL: dict[str, set[str]] = {
    'subscribe': {'/tf', '/tf_static', '/clock', 'image/compressed'},
    'publish': set(),
    'reply': set(),
    'request': set(),
}
SHARED = {'/tf', '/tf_static', '/clock', '/diagnostics', '/rosout', '/parameter_events'}
DISCOVERY_S = 3.0


def opened_by(ros_node: Any, name: str, namespace: str) -> dict[str, set[str]]:
    """What a node has opened, by the graph.

    Args:
        ros_node: an rclpy node that asks.
        name: of the node that is asked about.
        namespace: of that node.

    Returns:
        'subscribe', 'publish', 'reply', 'request' -> names; those below the namespace are relative.
    """
    questions = {
        'subscribe': ros_node.get_subscriber_names_and_types_by_node,
        'publish': ros_node.get_publisher_names_and_types_by_node,
        'reply': ros_node.get_service_names_and_types_by_node,
        'request': ros_node.get_client_names_and_types_by_node,
    }
    below = namespace.rstrip('/') + '/'
    return {
        kind: {
            entry.removeprefix(below) if entry.startswith(below) and below != '/' else entry
            for entry, _ in ask(name, namespace)
        }
        for kind, ask in questions.items()
    }


def policy_of(opened: dict[str, set[str]], name: str) -> str:
    """The policy, as XML, of a node that has opened so much, and of what is OPTIONAL."""
    root = ET.Element('policy', version='0.2.0')
    enclave = ET.SubElement(ET.SubElement(root, 'enclaves'), 'enclave', path=f'/{name}')
    profile = ET.SubElement(ET.SubElement(enclave, 'profiles'), 'profile', ns='/', node=name)
    for kind, names in opened.items():
        what = 'service' if kind in ('reply', 'request') else 'topic'
        listed = sorted(
            {entry.removeprefix('/') if _is_own(entry) else entry for entry in names}
            | OPTIONAL[kind]
        )
        if listed:
            group = ET.SubElement(profile, f'{what}s', {kind: 'ALLOW'})
            for entry in listed:
                ET.SubElement(group, what).text = entry
    ET.indent(root)
    return ET.tostring(root, encoding='unicode', xml_declaration=True) + '\n'


def _is_own(name: str) -> bool:
    """Whether a name follows the namespace of the node."""
    return name not in SHARED


def main() -> int:
    """Print the policy of a running node."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--node', default='/netvlad', help='full name of the running node')
    namespace, _, name = parser.parse_args().node.rpartition('/')
    rclpy.init()
    asking = rclpy.create_node('security_policy')
    time.sleep(DISCOVERY_S)
    opened = opened_by(asking, name, namespace or '/')
    rclpy.shutdown()
    print(policy_of(opened, name), end='')
    return 0


if __name__ == '__main__':
    sys.exit(main())
