"""Checkpoints of a run: safetensors for numbers, JSON for the rest, no pickle."""

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
# State of each parameter by optimizer; Adam and AdamW have the same.
ADAM_STATE: tuple[str, ...] = ('step', 'exp_avg', 'exp_avg_sq')
STATE: dict[type, tuple[str, ...]] = {torch.optim.SGD: ('momentum_buffer',)}
MAX_JSON_BYTES = 2**30  # remembered negatives of a hundred thousand queries take some 10 MB


@dataclass(frozen=True)
class TrainableState:
    """What a step changes.

    Attributes:
        network: its weights.
        loss: its own parameters, if it has some.
        optimizer: its state.
    """

    network: PlaceNetwork
    loss: nn.Module
    optimizer: torch.optim.Optimizer


def save_checkpoint(folder: Path, trainable: TrainableState, progress: dict[str, Any]) -> None:
    """Writes checkpoint_<step>.safetensors, then checkpoint.json, which names it.

    Each file appears whole or not at all, and is on the disk before the next step. The previous
    checkpoint is kept until this one is complete.

    Args:
        folder: of the run.
        trainable: state after the step.
        progress: for JSON; 'step' is required.

    Raises:
        NetvladError: the disk is full or not writable; the previous checkpoint is kept.
    """
    step = int(progress['step'])
    tensors = {
        name: value.detach().to('cpu', copy=True, memory_format=torch.contiguous_format)
        for name, value in _tensors(trainable)
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
        NetvladError: the file is missing, damaged or of another format.
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


def load_checkpoint(folder: Path, trainable: TrainableState) -> dict[str, Any]:
    """Sets a state to that of the saved step; returns the progress that was saved with it.

    Raises:
        NetvladError: there is no checkpoint, or it is damaged or of another architecture.
    """
    progress = read_progress(folder)
    numbers = folder / f'checkpoint_{progress["step"]}.safetensors'
    try:
        tensors = load_file(numbers)
    except (OSError, SafetensorError) as error:
        raise NetvladError(f'{folder}: holds no usable checkpoint ({error})') from error
    try:
        _load_optimizer(trainable.optimizer, _part(tensors, 'optimizer.'))
    except ValueError as error:
        raise NetvladError(f'{numbers}: belongs to another run ({error})') from error
    load_state_strict(trainable.network, _part(tensors, 'network.'), f'{numbers}, network')
    load_state_strict(trainable.loss, _part(tensors, 'loss.'), f'{numbers}, loss')
    return progress


def _tensors(trainable: TrainableState) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in trainable.network.state_dict().items():
        yield f'network.{name}', value
    for name, value in trainable.loss.state_dict().items():
        yield f'loss.{name}', value
    for index, state in trainable.optimizer.state_dict()['state'].items():
        for name, value in state.items():
            if value is not None:  # SGD before its first momentum
                yield f'optimizer.{index}.{name}', torch.as_tensor(value)


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Sets the state of every parameter, or of none: before the first step there is none."""
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
                # Same memory layout as the parameter: another order of sums rounds differently.
                tensor = torch.empty_like(like).copy_(tensor)
            state[index][key] = tensor
    if tensors:
        raise ValueError(f'its optimizer has no place for {next(iter(tensors))}')
    groups = optimizer.state_dict()['param_groups']
    optimizer.load_state_dict({'state': state, 'param_groups': groups})


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding='utf-8')
