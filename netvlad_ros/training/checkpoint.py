"""What a run keeps between rounds: safetensors for numbers, JSON for the rest, never a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.network import PlaceNetwork

FORMAT_VERSION = 1


def save_checkpoint(
    folder: Path,
    network: PlaceNetwork,
    initial: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
) -> None:
    """Writes checkpoint.safetensors, then checkpoint.json, each whole or not at all.

    The JSON names the step that the numbers must carry: a crash between the two is noticed on load.

    Args:
        folder: of the run.
        network, optimizer: as they are after the step.
        initial: state dict before training.
        progress: JSON-able; 'step' is required.
    """
    tensors = {f'network.{k}': v for k, v in network.state_dict().items()}
    tensors |= {f'initial.{k}': v for k, v in initial.items()}
    for index, state in optimizer.state_dict()['state'].items():
        tensors |= {f'optimizer.{index}.{k}': torch.as_tensor(v) for k, v in state.items()}
    step = str(progress['step'])
    try:
        temporary = folder / '.checkpoint.safetensors.tmp'
        save_file(
            {k: v.contiguous().clone() for k, v in tensors.items()}, temporary, {'step': step}
        )
        text = json.dumps({'format_version': FORMAT_VERSION, **progress}, indent=1)
        text_file = folder / '.checkpoint.json.tmp'
        text_file.write_text(text, encoding='utf-8')
        temporary.replace(folder / f'checkpoint_{step}.safetensors')
        text_file.replace(folder / 'checkpoint.json')
    except (OSError, SafetensorError) as error:
        raise NetvladError(f'checkpoint in {folder}: cannot be written ({error})') from error
    for old in folder.glob('checkpoint_*.safetensors'):
        if old.name != f'checkpoint_{step}.safetensors':
            old.unlink()


def load_checkpoint(
    folder: Path, network: PlaceNetwork, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Brings network and optimizer to the saved step; returns (initial state dict, progress).

    Raises:
        NetvladError: no checkpoint, a broken one, or one of another architecture.
    """
    path = folder / 'checkpoint.json'
    try:
        progress = json.loads(path.read_text(encoding='utf-8'))
        if progress['format_version'] != FORMAT_VERSION:
            raise NetvladError(f'{path}: format {progress["format_version"]} is not understood')
        numbers = folder / f'checkpoint_{int(progress["step"])}.safetensors'
        tensors = load_file(numbers)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise NetvladError(f'{folder}: holds no usable checkpoint ({error})') from error

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

    try:
        network.load_state_dict(part('network.'))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in part('optimizer.').items():
            index, _, key = name.partition('.')
            state.setdefault(int(index), {})[key] = tensor
        groups = optimizer.state_dict()['param_groups']
        optimizer.load_state_dict({'state': state, 'param_groups': groups})
    except (RuntimeError, ValueError, KeyError) as error:
        first = str(error).splitlines()[0]
        raise NetvladError(f'{numbers}: belongs to another network ({first})') from error
    return part('initial.'), progress
