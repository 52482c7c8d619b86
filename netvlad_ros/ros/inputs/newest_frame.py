"""NewestFrame: a worker thread that always works on the newest frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Frame = TypeVar('Frame')


class NewestFrame(Generic[Frame]):
    """Hands frames to `work` in a thread of its own.

    A frame that comes while the worker is busy replaces the frame that waits.

    Why a thread: while an executor describes images itself, it answers no service and receives no
    clock. It also does not know how many images the middleware dropped in that time. Inference and
    OpenCV release the interpreter lock, so images are received meanwhile.
    """

    def __init__(self, work: Callable[[Frame], None]) -> None:
        """Start the thread.

        Args:
            work: Runs in the worker thread, one frame at a time; it must not raise.
        """
        self._work = work
        self._ready = threading.Condition()
        self._waiting: Frame | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name='newest_frame', daemon=True)
        self._thread.start()

    def put(self, frame: Frame) -> bool:
        """Offer a frame; True if it replaces a frame that was not processed."""
        with self._ready:
            replaced = self._waiting is not None
            self._waiting = frame
            self._ready.notify()
        return replaced

    def stop(self) -> None:
        """Finish the present frame, discard the one that waits, and end the thread."""
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
