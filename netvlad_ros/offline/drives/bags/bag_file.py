"""BagFile: topics and messages of a rosbag2 recording on disk, read without ROS."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.typesys import Stores, get_typestore

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.drives.bags.bag_folder import BagFolder
from netvlad_ros.offline.drives.bags.bag_storage import SUFFIXES, RosbagsStorage, Storage, Topic
from netvlad_ros.offline.drives.bags.truncated_mcap import TruncatedMcap
from netvlad_ros.offline.drives.bags.truncated_sqlite import TruncatedSqlite

SALVAGE = ' (or pass --allow-truncated to use what can be read)'


class BagFile:
    """A rosbag2 recording, used as a context manager; every problem is raised as NetvladError.

    Messages are decoded with the standard definitions of ROS 2 Jazzy. For the types read here
    these are the same in every ROS 2 so far. Definitions inside a bag are not used: they would be
    compiled to Python, and a bag may come from anyone.
    """

    def __init__(self, path: Path, *, allow_truncated: bool = False) -> None:
        """Remember what to open.

        Args:
            path: a rosbag2 directory, or a single .mcap or .db3 file.
            allow_truncated: read what can be read of a truncated bag.
        """
        self.path = path
        self.allow_truncated = allow_truncated
        self.notes: list[str] = []  # what could not be read, when allow_truncated
        self._stack = ExitStack()
        self._storages: list[Storage] = []
        self._typestore = get_typestore(Stores.ROS2_JAZZY)

    def __enter__(self) -> BagFile:
        """Open the files."""
        self.notes.clear()
        try:
            self._storages = self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        self._storages = []
        self._stack.close()

    def topics(self) -> dict[str, Topic]:
        """Every topic by name."""
        topics: dict[str, Topic] = {}
        for storage in self._storages:
            for topic in storage.topics():
                before = topics.get(topic.name)
                if before and before.msgtype != topic.msgtype:
                    raise NetvladError(
                        f'bag {self.path}: topic {topic.name} has messages of two types, '
                        f'{before.msgtype} and {topic.msgtype}'
                    )
                count = topic.messages + (before.messages if before else 0)
                topics[topic.name] = topic._replace(messages=count)
        return topics

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, Any]]:
        """Yield topic and message of the topics asked for, in the order of recording.

        A message that cannot be decoded arrives as None.
        """
        for storage in self._storages:
            raw = storage.raw_messages(topics)
            while (item := self._next(raw)) is not None:
                topic, msgtype, data = item
                yield topic, self._decode(msgtype, data)

    def _next(self, raw: Iterator[tuple[str, str, bytes]]) -> tuple[str, str, bytes] | None:
        try:
            return next(raw, None)
        except NetvladError:
            raise
        except Exception as error:  # on damaged files the readers raise anything
            if not self.allow_truncated:
                raise NetvladError(_damaged(self.path, error) + SALVAGE) from error
            self.notes.append(f'bag {self.path}: reading stopped early: {_line(error)}')
            return None

    def _decode(self, msgtype: str, data: bytes) -> Any:
        try:
            return self._typestore.deserialize_cdr(data, msgtype)
        except Exception:  # as in _next
            return None

    def _open(self) -> list[Storage]:
        if not self.path.exists():
            raise NetvladError(f'bag {self.path} does not exist')
        if not (self.path.is_file() or self.path.is_dir()):
            raise NetvladError(f'bag {self.path} is no plain file')
        unclean = _unclean(self.path)
        if not unclean:
            try:
                source = BagFolder(self.path) if self.path.is_dir() else self.path
                return [self._stack.enter_context(RosbagsStorage(source))]
            except Exception as error:  # see _next
                unclean = _damaged(self.path, error)
        if not self.allow_truncated:
            raise NetvladError(unclean + SALVAGE)
        self.notes.append(unclean)
        files = _storage_files(self.path)
        if not files:
            raise NetvladError(f'bag {self.path} has no .mcap or .db3 file to read from')
        return [self._salvage(file) for file in files]

    def _salvage(self, file: Path) -> Storage:
        try:
            if file.suffix == '.mcap':
                return self._stack.enter_context(RosbagsStorage(TruncatedMcap(file)))
            return self._stack.enter_context(TruncatedSqlite(file))
        except Exception as error:  # see _next
            raise NetvladError(
                f'bag {file} is too damaged to read anything from it: {_line(error)}'
            ) from error


def _unclean(path: Path) -> str:
    """Why a bag was not closed properly, as an error message; empty if nothing shows it."""
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        return f'bag {path} has no metadata.yaml: it was cut off; run `ros2 bag reindex` on it'
    for file in _storage_files(path):
        for suffix in ('-wal', '-journal'):
            left = file.with_name(file.name + suffix)
            if left.is_file() and left.stat().st_size > 0:
                return (
                    f'bag {file} was not closed: {left.name} lies beside it; open and close it '
                    f'once with `sqlite3 {file.name} .tables`'
                )
    return ''


def _storage_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = [file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file()]
    # rosbag2 numbers the parts of a split bag: name_9.mcap comes before name_10.mcap.
    return sorted(files, key=lambda file: [int(n) for n in re.findall(r'\d+', file.stem)] or [0])


def _damaged(path: Path, error: Exception) -> str:
    return f'bag {path} is damaged or cut off ({_line(error)})'


def _line(error: Exception) -> str:
    text = ' '.join(str(error).split())[:200]
    return text or type(error).__name__
