"""TruncatedSqlite: a .db3 file that was not closed, up to the first row that is unreadable."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path

from netvlad_ros.offline.drives.bags.bag_storage import Topic


class TruncatedSqlite:
    """A damaged .db3 file. Rows are read in the order of writing: what is before damage is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> TruncatedSqlite:
        """Open the file for reading; SQLite applies a write-ahead log where one is left."""
        self._connection = sqlite3.connect(f'{self._path.resolve().as_uri()}?mode=ro', uri=True)
        # SQLite refuses a file that is shorter than its header says, unless this says that it is
        # under repair. Nothing can be written: the file is opened read-only.
        self._connection.execute('PRAGMA writable_schema=ON')
        ((self._page_bytes,),) = self._connection.execute('PRAGMA page_size')
        ((pages,),) = self._connection.execute('PRAGMA page_count')
        self._is_truncated = self._path.stat().st_size < pages * self._page_bytes
        self._types = {
            number: (name, msgtype)
            for number, name, msgtype in self._connection.execute(
                'SELECT id, name, type FROM topics'
            )
            if isinstance(name, str) and isinstance(msgtype, str)  # SQLite enforces no type
        }
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._connection.close()

    def topics(self) -> list[Topic]:
        """The topics, with the number of their readable rows."""
        counts = dict.fromkeys(self._types, 0)
        for (number,) in self._rows('topic_id'):
            if number in counts:
                counts[number] += 1
        return [Topic(*self._types[number], count) for number, count in counts.items()]

    def raw_messages(self, topics: Collection[str]) -> Iterator[tuple[str, str, bytes]]:
        """Yield topic, type and serialised message up to where the damage begins."""
        # The missing end of a large row's last page reads as zeros, without an error. So a large
        # row is used only after another row of its topic was found behind it.
        held: dict[int, tuple[str, str, bytes]] = {}
        for number, data in self._rows('topic_id, data'):
            name, msgtype = self._types.get(number, ('', ''))
            if name not in topics or not isinstance(data, bytes):
                continue
            if len(data) < self._page_bytes // 8:
                yield name, msgtype, data
                continue
            if number in held:
                yield held[number]
            held[number] = (name, msgtype, data)
        if not self._is_truncated:
            yield from held.values()

    def _rows(self, columns: str) -> Iterator[tuple]:
        try:
            yield from self._connection.execute(f'SELECT {columns} FROM messages ORDER BY id')
        except sqlite3.DatabaseError:
            self._is_truncated = True
