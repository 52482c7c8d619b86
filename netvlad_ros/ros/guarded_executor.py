"""GuardedExecutor: runs the callbacks of the node; none of them can end the process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.executors import (
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
    TimeoutException,
)

from netvlad_ros.core.words import error_words

LOG_PERIOD_S = 1.0  # at most one line so often, whatever a topic carries
PAUSE_S = 0.1  # after a failure of the executor itself, which may come again at once


class GuardedExecutor(SingleThreadedExecutor):
    """A SingleThreadedExecutor that logs and counts the exceptions of callbacks, and goes on.

    rclpy ends the process at any exception of a callback. Its own callbacks raise on messages that
    nobody here sees: on a parameter of an unknown type, a clock below zero, text that is not UTF-8.
    If an exception comes while a message is taken, rclpy also leaves the callback group locked, so
    that no other callback of the node would run any more.

    Attributes:
        failures: Number of exceptions so far.
        last_failure: The newest one in words, '' if there was none.
    """

    def __init__(self, log: Callable[[str], object]) -> None:
        """Make an executor of the default context.

        Args:
            log: Gets a sentence for a failure, at most one every LOG_PERIOD_S.
        """
        super().__init__()
        self._log = log
        self.failures = 0
        self.last_failure = ''
        self._logged_s = -LOG_PERIOD_S
        self._unlogged = 0
        self._reported = 0

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback and run it.

        Args:
            timeout_sec: Longest wait [s]; None: any time.

        Raises:
            ExternalShutdownException: rclpy was shut down.
        """
        try:
            handler, entity, _ = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (ShutdownException, TimeoutException):
            return
        except ExternalShutdownException:
            raise
        except Exception as error:
            self._note(error, 'the executor')
            time.sleep(PAUSE_S)
            return
        handler()
        raised = handler.exception()
        if raised is not None:
            self._note(raised, _name_of(entity))

    def take_new_failures(self) -> int:
        """Number of exceptions since the last call."""
        new, self._reported = self.failures - self._reported, self.failures
        return new

    def _make_handler(self, entity: Any, node: Any, take: Callable[[Any], Any], *more: Any) -> Any:
        """A handler of rclpy that takes nothing where taking a message fails."""

        def guarded(taken_from: Any) -> Any:
            try:
                return take(taken_from)
            except Exception as error:
                self._note(error, _name_of(entity))
                return None

        return super()._make_handler(entity, node, guarded, *more)

    def _note(self, error: BaseException, where: str) -> None:
        if not self.context.ok():
            raise ExternalShutdownException from error
        if type(error).__name__ == 'InvalidHandle':  # it is in other modules of other releases
            return  # the callback destroyed its subscription or service
        self.failures += 1
        self.last_failure = f'{where}: {error_words(error)}'
        now_s = time.monotonic()
        if now_s - self._logged_s < LOG_PERIOD_S:
            self._unlogged += 1
            return
        more = f' ({self._unlogged} more like it were not logged)' if self._unlogged else ''
        self._log(f'refused, and the node goes on: {self.last_failure}{more}')
        self._logged_s, self._unlogged = now_s, 0


def _name_of(entity: Any) -> str:
    """Topic or service of what the executor waits for."""
    for attribute in ('topic_name', 'service_name', 'srv_name'):
        name = getattr(entity, attribute, None)
        if name:
            return str(name)
    return f'a {type(entity).__name__.lower()}'
