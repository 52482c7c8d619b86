"""in_thread: work in a thread of its own, which a coroutine of the executor awaits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from rclpy.node import Node
from rclpy.task import Future

Result = TypeVar('Result')


async def in_thread(ros_node: Node, work: Callable[[], Result]) -> Result:
    """Do work beside the executor, which runs other callbacks meanwhile.

    The callback that awaits it needs a callback group of its own: rclpy keeps a group locked until
    its callback has ended.

    Args:
        ros_node: The node whose executor is woken when the work is done.
        work: Runs in the thread.

    Returns:
        What work returned; what it raised is raised.
    """
    done = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # it belongs to whoever awaits it
            done.set_exception(error)
        executor = ros_node.executor
        if executor is not None:
            executor.wake()

    threading.Thread(target=run, name='background', daemon=True).start()
    result: Result = await done
    return result
