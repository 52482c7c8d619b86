"""within: work that is given up when it takes too long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from netvlad_ros.core.errors import NetvladError

Result = TypeVar('Result')
LOAD_BUDGET_S = 120.0
BUILD_BUDGET_S = 3600.0  # TensorRT compiles a network for minutes


def load_budget_s(device: str) -> float:
    """Longest time [s] that a model may take to open, and again to answer its trial images."""
    return BUILD_BUDGET_S if device == 'tensorrt' else LOAD_BUDGET_S


def within(
    seconds: float, work: Callable[[], Result], what: str, stop: Callable[[], None] = lambda: None
) -> Result:
    """Do work in a thread, and wait for it no longer than so many seconds.

    Nothing can end a thread from outside. One that is given up goes on until its native call
    returns, but nobody waits for it.

    Args:
        seconds: longest time [s].
        work: what is done.
        what: what takes too long, for the error.
        stop: asks the work to end, when its time is over.

    Returns:
        What work returned; what it raised is raised.

    Raises:
        NetvladError: the time is over.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised again below, in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, name='within', daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        stop()
        raise NetvladError(f'{what} takes longer than {seconds:g} s')
    if errors:
        raise errors[0]
    return results[0]
