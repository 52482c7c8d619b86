"""RunState: step, round and best network of a run, saved and resumed with its checkpoints."""

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
    """Step, round and best network of a run.

    Args:
        trainable: what the steps change.
        miner: its state is saved, too.
        precision: its state is saved, too.

    Attributes:
        step: number of updates made.
        saved: step of the last checkpoint, None before the first.
        round: number of finished rounds.
        best: recall of the best network so far, None without validation.
        best_step: step of the best network.
        stale: number of validations since then.
    """

    def __init__(self, trainable: TrainableState, miner: Miner, precision: Precision) -> None:
        self._trainable = trainable
        self._miner = miner
        self._precision = precision
        self.step = self.round = self.stale = self.best_step = 0
        self.saved: int | None = None
        self.best: Recall | None = None

    def record(self, recall: Recall) -> bool:
        """Counts a validation; True if this network is the best so far, by recall@5."""
        better = self.best is None or recall.order > self.best.order
        if better:
            self.best, self.best_step, self.stale = recall, self.step, 0
        else:
            self.stale += 1
        return better

    def stops(self, patience: int) -> bool:
        """Whether so many validations gave no better network; never with patience 0."""
        return 0 < patience <= self.stale

    def save_best(self, folder: Path, network: PlaceNetwork) -> None:
        """Saves the network of the best validation; call it before the checkpoint is saved."""
        extra = {'step': self.step, 'recall': asdict(self.best) if self.best else None}
        save_network(self._best_of(folder), network, extra)

    def save(self, folder: Path) -> None:
        """Saves a checkpoint, then removes files that only earlier checkpoints need."""
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
        save_checkpoint(folder, self._trainable, progress)
        self.saved = self.step
        kept = set(network_files(self._best_of(folder)))
        for old in folder.glob('best_*'):
            if old not in kept:
                old.unlink()

    def load(self, folder: Path) -> None:
        """Goes on from the checkpoint of a folder.

        Raises:
            NetvladError: there is no checkpoint, or it is damaged or of another network.
        """
        progress = load_checkpoint(folder, self._trainable)
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
            load_network(
                self._best_of(folder)
            )  # a damaged file is refused now, not after the last step

    def take_best(self, folder: Path) -> None:
        """Loads the best weights into the network; without validation it keeps the last ones."""
        if self.best is not None:
            path = self._best_of(folder)
            best, _ = load_network(path)
            load_state_strict(self._network, best.state_dict(), f'network {path}')

    def _best_of(self, folder: Path) -> Path:
        return folder / f'best_{self.best_step}'

    @property
    def _network(self) -> PlaceNetwork:
        return self._trainable.network


def _count(progress: dict[str, Any], name: str) -> int:
    value = progress[name]
    if type(value) is not int or value < 0:
        raise ValueError(f'{name} is {value!r}')
    return value
