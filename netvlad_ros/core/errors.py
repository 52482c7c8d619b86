"""NetvladError: the exception of the package."""

from __future__ import annotations


class NetvladError(Exception):
    """A problem that the user can solve.

    The message says in one sentence what is wrong, where, and what to do.
    """
