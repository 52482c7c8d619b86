"""ProgressDisplay: a bar with loss, recall and time left on a terminal, else plain lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from netvlad_ros.offline.progress import Progress as ImageProgress, no_progress

PLAIN_EVERY_S = 10.0


class ProgressDisplay:
    """Prints to stderr; stdout is for the result.

    Args:
        quiet: print nothing; for all processes but the first.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, soft_wrap=True, quiet=quiet, highlight=False)
        self._bars = self._console.is_terminal and not quiet
        self._bar: Progress | None = None
        self._recall = ''
        self._started = self._printed = time.monotonic()
        self._first = 0

    def say(self, sentence: str) -> None:
        """Prints one line."""
        self._console.print(sentence, markup=False)

    @contextmanager
    def steps(self, first: int, total: int) -> Iterator[None]:
        """Shows a bar while steps are made, from first to total."""
        self._started, self._first = time.monotonic(), first
        if not self._bars:
            yield
            return
        columns = (
            TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TimeRemainingColumn(elapsed_when_finished=True),
        )  # fmt: skip
        with Progress(*columns, console=self._console) as self._bar:
            self._task = self._bar.add_task('training', total=total, completed=first)
            yield
        self._bar = None

    def step(self, step: int, total: int, loss: float, images_per_s: float) -> None:
        """Shows the numbers of a step."""
        numbers = f'loss {loss:.4f}  {images_per_s:.1f} images/s{self._recall}'
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=numbers)
            return
        now = time.monotonic()
        if now - self._printed >= PLAIN_EVERY_S or step == total:
            self._printed = now
            left = (now - self._started) / (step - self._first) * (total - step)
            self.say(f'step {step}/{total}  {numbers}  {left / 60:.1f} min left')

    def validated(self, step: int, recall: str, remark: str) -> None:
        """Shows the recall of a validation."""
        self._recall = f'  {recall}'
        self.say(f'step {step}: {recall}{remark}')

    @contextmanager
    def working(self, title: str) -> Iterator[ImageProgress]:
        """Shows the progress of work on images; yields its callback."""
        if self._bar is not None:
            task = self._bar.add_task(title, total=None)
            bar = self._bar
            yield lambda done, total: bar.update(task, completed=done, total=total)
            bar.remove_task(task)
        elif self._bars:
            columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            with Progress(*columns, console=self._console, transient=True) as bar:
                task = bar.add_task(title, total=None)
                yield lambda done, total: bar.update(task, completed=done, total=total)
        else:
            self.say(title)
            yield no_progress
