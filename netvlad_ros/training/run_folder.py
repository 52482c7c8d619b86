"""The folder that a training run leaves: its settings, its log, its checkpoint, its bundle."""

from __future__ import annotations

import csv
from datetime import datetime, timezone
from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config import TrainConfig


def new_run(config: TrainConfig) -> Path:
    """Makes config.out/<UTC time>-<name> with config.yaml inside, and points `latest` to it.

    Raises:
        NetvladError: the folder cannot be made.
    """
    name = f'{datetime.now(timezone.utc):%Y%m%d-%H%M%S-%f}-{config.name}'
    folder = Path(config.out) / name
    try:
        folder.mkdir(parents=True)
        config.save(folder / 'config.yaml')
        latest = Path(config.out) / 'latest'
        latest.unlink(missing_ok=True)
        latest.symlink_to(name)
    except OSError as error:
        raise NetvladError(f'run folder {folder}: cannot be made ({error})') from error
    return folder


def latest_run(config: TrainConfig) -> Path:
    """The folder that `latest` points to, if it was started with the same settings.

    Raises:
        NetvladError: no such folder, or a setting that decides the result differs.
    """
    folder = Path(config.out) / 'latest'
    if not (folder / 'config.yaml').is_file():
        raise NetvladError(f'{config.out} holds no run to resume: start one without --resume')
    changed = config.difference(TrainConfig.load(folder / 'config.yaml'))
    if changed:
        raise NetvladError(
            f'the run in {folder.resolve()} was started with another {changed[0]}: resume it with '
            'its own settings or start a new one'
        )
    return folder.resolve()


def log_round(folder: Path, step: int, loss: float, seconds: float) -> None:
    """Adds a line to log.csv: the step reached, the round's mean loss, its time since start [s]."""
    path = folder / 'log.csv'
    new = not path.exists()
    with path.open('a', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(['step', 'mean_loss', 'seconds'])
        writer.writerow([step, f'{loss:.6f}', f'{seconds:.1f}'])
