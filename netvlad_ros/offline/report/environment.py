"""Versions and processor that an evaluation ran on; nothing that names the machine."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import netvlad_ros

_PACKAGES = ('numpy', 'scipy', 'opencv-python-headless', 'faiss-cpu', 'matplotlib')
_RUNTIMES = ('onnxruntime', 'onnxruntime-gpu')


def environment() -> dict[str, str]:
    """Versions, processor and time, by name."""
    versions = {name: _version(name) for name in (*_RUNTIMES, *_PACKAGES)}
    return {
        'netvlad_ros': netvlad_ros.__version__,
        'python': platform.python_version(),
        **{name: version for name, version in versions.items() if version},
        'system': f'{platform.system()} {platform.release()} {platform.machine()}',
        'processor': _processor(),
        'processor threads': str(len(os.sched_getaffinity(0))),
        'written': datetime.now(timezone.utc).isoformat(timespec='seconds'),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ''


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace').splitlines()
    except OSError:
        lines = []
    named = (line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return next(named, platform.processor() or 'unknown')
