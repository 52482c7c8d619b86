"""A worker that always works on the newest frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Frame = TypeVar('Frame')


class NewestFrame(Generic[Frame]):
    """Hands frames to `work` in a thread of its own; a frame that comes while it is busy replaces
    the one that waits.

    Why a thread: an executor that describes images itself answers no service and hears no clock
    meanwhile, and cannot tell how many images the middleware dropped behind its back. Inference and
    OpenCV let go of the interpreter lock, so receiving goes on beside them.
    """

    def __init__(self, work: Callable[[Frame], None]) -> None:
        """work: must not raise; it runs in the worker thread, one frame at a time."""
        self._work = work
        self._ready = threading.Condition()
        self._waiting: Frame | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name='newest_frame', daemon=True)
        self._thread.start()

    def put(self, frame: Frame) -> bool:
        """Offer a frame; True if it replaces one that was never worked on."""
        with self._ready:
            replaced = self._waiting is not None
            self._waiting = frame
            self._ready.notify()
        return replaced

    def stop(self) -> None:
        """Finish the frame in work, forget the one that waits, end the thread."""
        with self._ready:
            self._stopped = True
            self._waiting = None
            self._ready.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._ready:
                while self._waiting is None and not self._stopped:
                    self._ready.wait()
                if self._stopped:
                    return
                frame, self._waiting = self._waiting, None
            if frame is not None:
                self._work(frame)
