"""Files of a network: saving, and loading with every layer or none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import write_durably
from netvlad_ros.training.config.network import NetworkConfig
from netvlad_ros.training.network.network import PlaceNetwork

FORMAT_VERSION = 1
MAX_TENSOR_BYTES = 2 * 2**30  # VGG16-NetVLAD with its 4096-D whitening is 0.6 GB
MAX_TEXT_BYTES = 16 * 2**20
# Settings that must be in the file: their defaults might give other descriptors of the same layers.
DECIDING = ('layer', 'normalise', 'intra_normalise', 'height', 'width', 'resize', 'multiple')
_KEYS = {'format_version', 'network', 'fingerprint', 'extra'}


def save_network(path: Path, network: PlaceNetwork, extra: dict[str, Any]) -> None:
    """Writes <path>.safetensors, then <path>.json, each whole or not at all.

    The JSON holds the configuration, from which the network is built again, and a fingerprint of
    the weights. So a crash between the two files is noticed on load.

    Args:
        path: without suffix.
        network: all its parameters and buffers are written.
        extra: for JSON, free for the caller. Its entry `metadata` is what `netvlad export` writes
            into the bundle (name, licence, training, calibration).

    Raises:
        NetvladError: the files cannot be written.
    """
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
    fingerprint = _fingerprint(tensors)
    text = json.dumps(
        {
            'format_version': FORMAT_VERSION,
            'network': network.config.to_dict(),
            'fingerprint': fingerprint,
            'extra': extra,
        },
        indent=1,
    )
    numbers, description = network_files(path)
    mark = {'fingerprint': fingerprint}
    try:
        numbers.parent.mkdir(parents=True, exist_ok=True)
        write_durably(numbers, lambda file: save_file(tensors, file, mark))
        write_durably(description, lambda file: _write_text(file, text))
    except (OSError, SafetensorError) as error:
        raise NetvladError(f'network {path}: cannot be written ({error})') from error


def load_network(path: Path) -> tuple[PlaceNetwork, dict[str, Any]]:
    """Builds the network that save_network wrote, in evaluation mode, on the CPU.

    Args:
        path: as given to save_network, or one of the two files.

    Returns:
        The network and `extra`.

    Raises:
        NetvladError: a file is missing, damaged, too large or of another format; the two files are
            of different networks; a layer is missing, of another shape or not finite.
    """
    numbers, description = network_files(path)
    where = f'network {description}'
    raw = _read_description(description, where)
    config = NetworkConfig.of(raw['network'], where)
    for name in DECIDING:
        if name not in raw['network']:
            raise NetvladError(
                f'{where}: setting {name} is missing, and the descriptor hangs on it'
            )
    network = PlaceNetwork(config)
    state = _read_tensors(numbers, raw['fingerprint'])
    load_state_strict(network, state, f'network {numbers}')
    return network.eval(), raw['extra']


def network_files(path: Path) -> tuple[Path, Path]:
    """The safetensors and the JSON file of a network, from its path or from one of the two."""
    stem = path.with_suffix('') if path.suffix in ('.safetensors', '.json') else path
    return stem.with_name(f'{stem.name}.safetensors'), stem.with_name(f'{stem.name}.json')


def load_state_strict(module: nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Fills every layer of a module; `where` names their origin in errors.

    Raises:
        NetvladError: a layer is missing, unknown, of another shape or type, or not finite; the
            module is unchanged.
    """
    own = module.state_dict()
    for name, tensor in own.items():
        if name not in state:
            raise NetvladError(f'{where}: layer {name} is missing')
        if state[name].shape != tensor.shape or state[name].dtype != tensor.dtype:
            raise NetvladError(
                f'{where}: layer {name} is {state[name].dtype} {tuple(state[name].shape)}, its '
                f'configuration needs {tensor.dtype} {tuple(tensor.shape)}'
            )
        if tensor.is_floating_point() and not torch.isfinite(state[name]).all():
            raise NetvladError(f'{where}: layer {name} is not finite')
    for name in state:
        if name not in own:
            raise NetvladError(f'{where}: layer {name} has no place in its configuration')
    module.load_state_dict(state)


def _read_description(path: Path, where: str) -> dict[str, Any]:
    _check_size(path, MAX_TEXT_BYTES, where)
    try:
        raw = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise NetvladError(f'{where}: is not readable JSON ({error})') from error
    if not isinstance(raw, dict) or raw.get('format_version') != FORMAT_VERSION:
        version = raw.get('format_version') if isinstance(raw, dict) else None
        raise NetvladError(
            f'{where}: network format {version!r} is not the format {FORMAT_VERSION} that this '
            'version of netvlad_ros reads'
        )
    if set(raw) != _KEYS or not isinstance(raw['extra'], dict):
        raise NetvladError(f'{where}: must hold exactly {", ".join(sorted(_KEYS))}')
    return raw


def _read_tensors(path: Path, fingerprint: str) -> dict[str, torch.Tensor]:
    where = f'network {path}'
    _check_size(path, MAX_TENSOR_BYTES, where)
    try:
        with safe_open(path, framework='pt') as file:
            if (file.metadata() or {}).get('fingerprint') != fingerprint:
                raise NetvladError(
                    f'{where}: does not belong to the JSON beside it (writing was interrupted, or '
                    'one of the two was replaced)'
                )
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise NetvladError(f'{where}: not a readable safetensors file ({error})') from error


def _check_size(path: Path, limit: int, where: str) -> None:
    if not path.is_file():
        raise NetvladError(f'{where} does not exist or is no file')
    size = path.stat().st_size
    if size > limit:
        raise NetvladError(f'{where} has {size} bytes, more than {limit}')


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding='utf-8')


def _fingerprint(tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 over names and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
