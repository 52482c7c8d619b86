"""The files that a bag is made of, each giving its topics and raw messages."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, Protocol

from rosbags.rosbag2 import Reader

SUFFIXES = ('.mcap', '.db3')


class Topic(NamedTuple):
    """A topic of a bag: type as in `sensor_msgs/msg/Image`, and its number of messages."""

    name: str
    msgtype: str
    messages: int


class Storage(Protocol):
    """One file, or one directory with all its files."""

    def topics(self) -> list[Topic]:
        """List the topics that it holds."""
        ...

    def raw_messages(self, topics: Collection[str]) -> Iterator[tuple[str, str, bytes]]:
        """Yield topic, type and serialised message, in the order of recording."""
        ...


class RosbagsStorage:
    """What rosbags' own reader understands."""

    def __init__(self, path: Any) -> None:
        self._reader = Reader(path)

    def __enter__(self) -> RosbagsStorage:
        self._reader.open()
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()

    def topics(self) -> list[Topic]:
        """List the topics that the recording holds."""
        return [Topic(x.topic, x.msgtype, x.msgcount) for x in self._reader.connections]

    def raw_messages(self, topics: Collection[str]) -> Iterator[tuple[str, str, bytes]]:
        """Yield topic, type and serialised message, in the order of recording."""
        connections = [x for x in self._reader.connections if x.topic in topics]
        if connections:  # to rosbags no connections mean all of them
            for connection, _, data in self._reader.messages(connections=connections):
                yield connection.topic, connection.msgtype, data
