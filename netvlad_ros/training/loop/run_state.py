"""Where a run stands: its step, its best network, and how to go on from there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.loop.checkpoint import TrainableState, load_checkpoint, save_checkpoint
from netvlad_ros.training.loop.precision import Precision
from netvlad_ros.training.loop.validation import Recall
from netvlad_ros.training.mining.make_miner import Miner
from netvlad_ros.training.network.network import PlaceNetwork
from netvlad_ros.training.network.network_file import (
    load_network,
    load_state_strict,
    network_files,
    save_network,
)


class RunState:
    """The bookkeeping of a run.

    Attributes:
        step: updates made.
        saved: step of the last checkpoint, None before the first.
        round: mined caches used up.
        best: recall of the best network so far, None without validation.
        best_step: its step.
        stale: validations since then.
    """

    def __init__(self, training: TrainableState, miner: Miner, precision: Precision) -> None:
        self._training = training
        self._miner = miner
        self._precision = precision
        self.step = self.round = self.stale = self.best_step = 0
        self.saved: int | None = None
        self.best: Recall | None = None

    def judge(self, recall: Recall) -> bool:
        """Counts a validation; True if this network is the best so far, by recall@5."""
        better = self.best is None or recall.order > self.best.order
        if better:
            self.best, self.best_step, self.stale = recall, self.step, 0
        else:
            self.stale += 1
        return better

    def stops(self, patience: int) -> bool:
        """True when so many validations brought nothing; 0 is never."""
        return 0 < patience <= self.stale

    def save_best(self, folder: Path, network: PlaceNetwork) -> None:
        """Keeps the network of judge(); the checkpoint that names it comes after."""
        extra = {'step': self.step, 'recall': asdict(self.best) if self.best else None}
        save_network(self._best_of(folder), network, extra)

    def save(self, folder: Path) -> None:
        """A checkpoint; what only earlier ones need is removed after it."""
        progress: dict[str, Any] = {
            'step': self.step,
            'round': self.round,
            'best': asdict(self.best) if self.best else None,
            'best_step': self.best_step,
            'stale': self.stale,
            'network': self._network.config.to_dict(),
            'miner': self._miner.state(),
            'precision': self._precision.state(),
        }
        save_checkpoint(folder, self._training, progress)
        self.saved = self.step
        kept = set(network_files(self._best_of(folder)))
        for old in folder.glob('best_*'):
            if old not in kept:
                old.unlink()

    def load(self, folder: Path) -> None:
        """Goes on from the checkpoint of a folder.

        Raises:
            NetvladError: none there, damaged, or of another network.
        """
        progress = load_checkpoint(folder, self._training)
        try:
            best = progress['best']
            self.best = None if best is None else Recall(**best)
            self.step, self.round, self.stale, self.best_step = (
                _count(progress, name) for name in ('step', 'round', 'stale', 'best_step')
            )
            self.saved = self.step
            self._miner.restore(progress['miner'])
            self._precision.restore(progress['precision'])
        except (KeyError, TypeError, ValueError) as error:
            raise NetvladError(f'{folder}: its checkpoint is damaged ({error!r})') from error
        if self.best is not None:
            load_network(self._best_of(folder))  # rather refused now than after the last step

    def take_best(self, folder: Path) -> None:
        """Puts the best weights into the network; without validation they are the last ones."""
        if self.best is not None:
            path = self._best_of(folder)
            best, _ = load_network(path)
            load_state_strict(self._network, best.state_dict(), f'network {path}')

    def _best_of(self, folder: Path) -> Path:
        return folder / f'best_{self.best_step}'

    @property
    def _network(self) -> PlaceNetwork:
        return self._training.network


def _count(progress: dict[str, Any], name: str) -> int:
    value = progress[name]
    if type(value) is not int or value < 0:
        raise ValueError(f'{name} is {value!r}')
    return value
