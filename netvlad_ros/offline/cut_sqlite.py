"""A rosbag2 .db3 file that was not closed, up to the first row that cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path

from netvlad_ros.offline.bag_storage import Topic


class CutSqlite:
    """Rows are read in the order they were written, so that damage costs only what is behind it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> CutSqlite:
        """Open the file for reading; SQLite applies a write-ahead log where one is left."""
        self._connection = sqlite3.connect(f'{self._path.resolve().as_uri()}?mode=ro', uri=True)
        self._types = {
            number: (name, msgtype)
            for number, name, msgtype in self._connection.execute(
                'SELECT id, name, type FROM topics'
            )
        }
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._connection.close()

    def topics(self) -> list[Topic]:
        """Count the rows of each topic that can be read."""
        counts = dict.fromkeys(self._types, 0)
        for number in self._rows('topic_id'):
            if number[0] in counts:
                counts[number[0]] += 1
        return [Topic(*self._types[number], count) for number, count in counts.items()]

    def raw_messages(self, topics: Collection[str]) -> Iterator[tuple[str, str, bytes]]:
        """Yield topic, type and serialised message until the damage begins."""
        for number, data in self._rows('topic_id, data'):
            name, msgtype = self._types.get(number, ('', ''))
            if name in topics:
                yield name, msgtype, data

    def _rows(self, columns: str) -> Iterator[tuple]:
        cursor = self._connection.execute(f'SELECT {columns} FROM messages ORDER BY id')
        while True:
            try:
                row = cursor.fetchone()
            except sqlite3.DatabaseError:
                return
            if row is None:
                return
            yield row
