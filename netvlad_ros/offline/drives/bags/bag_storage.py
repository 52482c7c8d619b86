"""Storage: the files that a bag consists of, with their topics and raw messages."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, Protocol

from rosbags.rosbag2 import Reader

SUFFIXES = ('.mcap', '.db3')


class Topic(NamedTuple):
    """A topic of a bag.

    Attributes:
        name: of the topic.
        msgtype: type of its messages, such as `sensor_msgs/msg/Image`.
        messages: their number.
    """

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
    """A bag that the reader of rosbags can open."""

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
        if connections:  # rosbags takes an empty list for all connections
            for connection, _, data in self._reader.messages(connections=connections):
                yield connection.topic, connection.msgtype, data
