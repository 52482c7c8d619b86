"""The one exception family of the package."""

from __future__ import annotations


class NetvladError(Exception):
    """Something the user can mend.

    The message says in one sentence what is wrong, where, and what to do.
    """
