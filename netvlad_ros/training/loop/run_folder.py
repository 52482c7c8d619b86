"""The folder of a training run: settings, environment, checkpoints, log, bundle."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from netvlad_ros import __version__
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.train_config import TrainConfig

PACKAGES = ('torch', 'torchvision', 'onnx', 'onnxruntime', 'numpy', 'faiss-cpu', 'safetensors')


def new_run(config: TrainConfig, out: Path) -> Path:
    """Makes out/<UTC time>-<name> with config.yaml and environment.json; links `latest` to it.

    Raises:
        NetvladError: the folder cannot be made.
    """
    name = f'{datetime.now(timezone.utc):%Y%m%d-%H%M%S-%f}-{config.name}'
    folder = out / name
    try:
        folder.mkdir(parents=True)
        (folder / 'config.yaml').write_text(config.to_yaml(), encoding='utf-8')
        text = json.dumps(_environment(), indent=1)
        (folder / 'environment.json').write_text(text + '\n', encoding='utf-8')
        latest = out / 'latest'
        latest.unlink(missing_ok=True)
        latest.symlink_to(name)
    except OSError as error:
        raise NetvladError(f'run folder {folder}: cannot be made ({error})') from error
    return folder


def latest_run(config: TrainConfig, out: Path) -> Path:
    """The folder that out/latest points to, if it was started with the same settings.

    Raises:
        NetvladError: there is no such folder, or a setting that decides the result differs.
    """
    folder = out / 'latest'
    if not (folder / 'config.yaml').is_file():
        raise NetvladError(f'{out} holds no run to resume: start one without --resume')
    changed = config.difference(TrainConfig.load(folder / 'config.yaml'))
    if changed:
        raise NetvladError(
            f'the run in {folder.resolve()} was started with another {changed[0]}: resume it with '
            'its own settings or start a new one'
        )
    return folder.resolve()


def _environment() -> dict[str, Any]:
    """Versions and hardware, on which the numbers of a run may depend."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    return {
        'netvlad_ros': __version__,
        'commit': _commit(),
        'python': sys.version.split()[0],
        'platform': platform.platform(),
        'device': device or platform.machine(),
        'versions': versions,
    }


def _commit() -> str | None:
    """The git commit of this code, with '+' if files differ; None outside a repository."""
    here = Path(__file__).parent
    try:
        commit = _git(here, 'rev-parse', 'HEAD')
        return commit + ('+' if _git(here, 'status', '--porcelain', '-uno', '.') else '')
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ['git', '-C', str(folder), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return result.stdout.strip()
