"""NetvladError: the exception of the package."""

from __future__ import annotations

from netvlad_ros.core.words import one_line


class NetvladError(Exception):
    """A problem that the user can solve.

    The message says in one sentence what is wrong, where, and what to do. It often quotes what a
    file or a message holds, so its length is limited and it has no control characters.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(one_line(sentence))
