"""Scalars: the numbers of a run over its steps, in log.csv and TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path

from netvlad_ros.core.errors import NetvladError

COLUMNS = (
    'step', 'loss', 'lr', 'images_per_s', 'recall_at_1', 'recall_at_5', 'recall_at_10', 'seconds'
)  # fmt: skip


class Scalars:
    """Writes a line of log.csv each round, and loss and rate of each step to TensorBoard.

    TensorBoard is used if it is installed.

    Args:
        folder: of the run; TensorBoard reads its folder `tensorboard`.
        step: to start from; lines of later steps, from an interrupted run, are dropped.

    Raises:
        NetvladError: the folder cannot be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / 'log.csv'
        try:
            kept = [row for row in self._read() if int(row['step']) <= step]
            with self._path.open('w', newline='', encoding='utf-8') as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(kept)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NetvladError(f'{self._path}: cannot be continued ({error})') from error
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:  # log.csv is enough
            self._board = None
        else:
            self._board = SummaryWriter(str(folder / 'tensorboard'), purge_step=step + 1)

    def step(self, step: int, **values: float) -> None:
        """Numbers after one step, for TensorBoard only."""
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def round(self, step: int, **values: float) -> None:
        """Numbers after one round, by columns of log.csv."""
        row = {'step': step, **{name: f'{value:.6g}' for name, value in values.items()}}
        try:
            with self._path.open('a', newline='', encoding='utf-8') as file:
                csv.DictWriter(file, COLUMNS, restval='').writerow(row)
            self.step(step, **{f'round/{name}': value for name, value in values.items()})
            if self._board is not None:
                self._board.flush()
        except OSError as error:
            raise NetvladError(
                f'{self._path}: cannot be written ({error.strerror}); the last checkpoint is kept'
            ) from error

    def close(self) -> None:
        """Flushes and closes the files of TensorBoard."""
        if self._board is not None:
            self._board.close()

    def _read(self) -> list[dict[str, str]]:
        if not self._path.exists():
            return []
        with self._path.open(newline='', encoding='utf-8') as file:
            return list(csv.DictReader(file))
