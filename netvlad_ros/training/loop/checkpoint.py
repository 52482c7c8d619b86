"""What a run keeps between rounds: safetensors for numbers, JSON for the rest, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import write_durably
from netvlad_ros.training.network.network import PlaceNetwork
from netvlad_ros.training.network.network_file import load_state_strict

FORMAT_VERSION = 2
# What an optimizer keeps of each parameter; Adam and AdamW the same.
ADAM_STATE: tuple[str, ...] = ('step', 'exp_avg', 'exp_avg_sq')
STATE: dict[type, tuple[str, ...]] = {torch.optim.SGD: ('momentum_buffer',)}
MAX_JSON_BYTES = 2**30  # remembered negatives of a hundred thousand queries take some 10 MB


@dataclass(frozen=True)
class TrainableState:
    """What changes while a run trains, apart from the bookkeeping."""

    network: PlaceNetwork
    loss: nn.Module
    optimizer: torch.optim.Optimizer


def save_checkpoint(folder: Path, training: TrainableState, progress: dict[str, Any]) -> None:
    """Writes checkpoint_<step>.safetensors, then checkpoint.json that names it.

    Each appears whole or not at all, and on the disk before the next step; the checkpoint before
    stays until this one is complete.

    Args:
        folder: of the run.
        training: as it is after the step.
        progress: JSON-able; 'step' is required. 'best' names the step of the best network.

    Raises:
        NetvladError: the disk is full or not writable; the checkpoint before is still there.
    """
    step = int(progress['step'])
    tensors = {
        name: value.detach().to('cpu', copy=True, memory_format=torch.contiguous_format)
        for name, value in _tensors(training)
    }
    text = json.dumps({'format_version': FORMAT_VERSION, **progress}, indent=1)
    try:
        write_durably(
            folder / f'checkpoint_{step}.safetensors',
            lambda path: save_file(tensors, path, {'step': str(step)}),
        )
        write_durably(folder / 'checkpoint.json', lambda path: _write(path, text))
    except (OSError, SafetensorError) as error:
        raise NetvladError(
            f'the checkpoint of step {step} cannot be written to {folder} ({error}): the one '
            'before is kept; free space and go on with --resume'
        ) from error
    for old in folder.glob('checkpoint_*.safetensors'):
        if old.name != f'checkpoint_{step}.safetensors':
            old.unlink()


def read_progress(folder: Path) -> dict[str, Any]:
    """The JSON of a run's checkpoint.

    Raises:
        NetvladError: there is none, or it is damaged or of another format.
    """
    path = folder / 'checkpoint.json'
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise NetvladError(f'{path}: too large for a checkpoint')
        progress = json.loads(path.read_text(encoding='utf-8'))
        if progress['format_version'] != FORMAT_VERSION:
            raise NetvladError(f'{path}: format {progress["format_version"]} is not understood')
        if type(progress['step']) is not int:
            raise NetvladError(f'{path}: step {progress["step"]!r} is no number')
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise NetvladError(f'{folder}: holds no usable checkpoint ({error})') from error
    return dict(progress)


def load_checkpoint(folder: Path, training: TrainableState) -> dict[str, Any]:
    """Brings a training to the saved step; returns the progress that was saved with it.

    Raises:
        NetvladError: no checkpoint, a broken one, or one of another architecture.
    """
    progress = read_progress(folder)
    numbers = folder / f'checkpoint_{progress["step"]}.safetensors'
    try:
        tensors = load_file(numbers)
    except (OSError, SafetensorError) as error:
        raise NetvladError(f'{folder}: holds no usable checkpoint ({error})') from error
    try:
        _load_optimizer(training.optimizer, _part(tensors, 'optimizer.'))
    except ValueError as error:
        raise NetvladError(f'{numbers}: belongs to another run ({error})') from error
    load_state_strict(training.network, _part(tensors, 'network.'), f'{numbers}, network')
    load_state_strict(training.loss, _part(tensors, 'loss.'), f'{numbers}, loss')
    return progress


def _tensors(training: TrainableState) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in training.network.state_dict().items():
        yield f'network.{name}', value
    for name, value in training.loss.state_dict().items():
        yield f'loss.{name}', value
    for index, state in training.optimizer.state_dict()['state'].items():
        for name, value in state.items():
            if value is not None:  # SGD before its first momentum
                yield f'optimizer.{index}.{name}', torch.as_tensor(value)


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Takes the state of every parameter, or of none: before the first step there is none."""
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    keys = STATE.get(type(optimizer), ADAM_STATE)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for index, like in enumerate(parameters if tensors else ()):
        state[index] = {}
        for key in keys:
            tensor = tensors.pop(f'{index}.{key}', None)
            if tensor is None or tensor.shape != (() if key == 'step' else like.shape):
                raise ValueError(f'{key} of parameter {index} is missing or of another shape')
            if not (tensor.is_floating_point() and torch.isfinite(tensor).all()):
                raise ValueError(f'{key} of parameter {index} is no finite number')
            if key != 'step':
                # Laid out like the parameter: the same additions in another order round otherwise.
                tensor = torch.empty_like(like).copy_(tensor)
            state[index][key] = tensor
    if tensors:
        raise ValueError(f'its optimizer has no place for {next(iter(tensors))}')
    groups = optimizer.state_dict()['param_groups']
    optimizer.load_state_dict({'state': state, 'param_groups': groups})


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding='utf-8')
