"""docs/node.md against a running node: topics, services, QoS and diagnostics."""

from __future__ import annotations

import re

import pytest
from node_process import RELIABLE, bench, tiny_world  # noqa: F401, fixtures
from test_docs import ROOT, named, table_rows

pytestmark = pytest.mark.alone

# What every lifecycle node has, and what rclpy and TF add.
COMMON_TOPICS = {'parameter_events', 'rosout', 'transition_event', 'tf', 'tf_static', 'clock'}
COMMON_SERVICES = re.compile(
    '.*_(state|states|transitions|graph|parameters|parameters_atomically|parameter_types'
    '|type_description)'
)


def short(topic: str, namespace: str) -> str:
    return topic.removeprefix(f'{namespace}/')


def own(found: list[tuple[str, list[str]]], namespace: str) -> dict[str, str]:
    """Topic or service -> its type, without those that every node has."""
    names = {short(name, namespace): kinds[0] for name, kinds in found}
    return {
        name: kind
        for name, kind in names.items()
        if name.rpartition('/')[2] not in COMMON_TOPICS and not COMMON_SERVICES.fullmatch(name)
    }


def documented(section: str) -> dict[str, tuple[str, str]]:
    """Topic -> (type, QoS) of a section of docs/node.md."""
    rows = table_rows('node.md', section)[2:]
    return {named(row[0]): (row[1], row[2]) for row in rows}


def kinds(rows: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: kind for name, (kind, _) in rows.items()}


def test_the_node_page_lists_what_a_running_node_publishes_hears_and_offers(bench):  # noqa: F811
    node, client = bench()
    client.wait(lambda: client.state() == 'active')
    client.wait(lambda: client.diagnostics.get('image topic'))
    at = ('netvlad', node.namespace)
    ros, space = client.ros, node.namespace
    published, heard = documented('### Published'), documented('### Subscribed')
    assert own(ros.get_publisher_names_and_types_by_node(*at), space) == kinds(published)
    raw = {name: kind for name, kind in kinds(heard).items() if name != 'image/compressed'}
    assert own(ros.get_subscriber_names_and_types_by_node(*at), space) == raw

    services = {named(row[0]): row[1] for row in table_rows('node.md', '## Services')[2:]}
    assert own(ros.get_service_names_and_types_by_node(*at), space) == services

    for rows, infos in (
        (published, ros.get_publishers_info_by_topic),
        (heard, ros.get_subscriptions_info_by_topic),
    ):
        for topic, (_, qos) in rows.items():
            of_node = [entry for entry in infos(topic) if entry.node_name == 'netvlad']
            assert of_node or topic == 'image/compressed', topic
            for entry in of_node:
                reliable = entry.qos_profile.reliability is RELIABLE
                assert ('reliable' if reliable else 'best effort') in qos, topic

    listed = {
        key
        for row in table_rows('node.md', '## Diagnostics')
        for key in re.findall('`([^`]+)`', row[0])
    }
    shown = {
        re.sub(r'^stage \w+', 'stage NAME', key)
        for key in client.diagnostics
        if key not in ('message', 'level')
    }
    assert shown - listed == set()


def test_the_security_policy_grants_what_a_running_node_opens(bench, monkeypatch):  # noqa: F811
    monkeypatch.syspath_prepend(str(ROOT / 'scripts'))
    import security_policy

    node, client = bench()
    client.wait(lambda: client.state() == 'active')
    client.wait(lambda: client.diagnostics.get('image topic'))
    opened = security_policy.opened_by(client.ros, 'netvlad', node.namespace)
    written = (ROOT / 'config' / 'security' / 'netvlad.policy.xml').read_text()
    assert security_policy.policy_of(opened, 'netvlad') == written


def test_named_cameras_and_compressed_images_have_the_topics_of_the_node_page(bench):  # noqa: F811
    node, client = bench('-p', 'cameras:=[front]', image_transport='compressed', use_odom=False)
    client.wait(lambda: client.state() == 'active')
    at = ('netvlad', node.namespace)

    def subscribed() -> dict[str, str]:
        return own(client.ros.get_subscriber_names_and_types_by_node(*at), node.namespace)

    heard = kinds(documented('### Subscribed'))
    client.wait(lambda: len(subscribed()) == 2)
    assert subscribed() == {
        f'front/{name}': heard[name] for name in ('image/compressed', 'camera_info')
    }
