"""load_checkpoint: tensors of pickled checkpoints from elsewhere, without running their code."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from netvlad_ros.core.errors import NetvladError

MAX_CHECKPOINT_BYTES = 4 * 2**30  # VGG16-NetVLAD with the state of its optimiser is 0.5 GB


class _Ignored:
    """Replaces a NumPy value of a checkpoint (such as its recalls), which is not needed here.

    So the file cannot call any function of NumPy.
    """

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


# What the trainers of the public layouts write to their files beside tensors.
_IGNORED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Ignored, f'numpy{name}')
    for name in (
        '.core.multiarray._reconstruct',
        '.core.multiarray.scalar',
        '._core.multiarray._reconstruct',
        '._core.multiarray.scalar',
        '.ndarray',
        '.dtype',
    )
]


def load_checkpoint(path: Path) -> Any:
    """What torch.save wrote to path, tensors on the CPU; NumPy values are left out.

    Both formats of torch are read: the zip archive, and the format before torch 1.6.

    Raises:
        NetvladError: the file is missing, too large, damaged or compressed, or its pickle asks for
            code, which is not run. (torch writes no compressed archives; a small compressed file
            could unpack to any size.)
    """
    where = f'checkpoint {path}'
    _check_size(path, where)
    try:
        with torch.serialization.safe_globals(_IGNORED), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about other pickle protocols, which are refused
            return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a hostile file can cause errors of many types
        text = str(error)
        # torch's own message recommends weights_only=False, which would run the code.
        asked = re.search(r'GLOBAL ([\w.]+)|blocked module (\w+)|function (<[^>]+>)', text)
        if asked:
            name = next(group for group in asked.groups() if group)
            raise NetvladError(
                f'{where} refused: this pickle asks for the code {name}, which was not run; a '
                'checkpoint holds tensors and plain values alone'
            ) from None
        if '.tar format' in text:
            raise NetvladError(
                f'{where} is in the tar format of torch before 0.2; save it anew with torch.save'
            ) from None
        raise NetvladError(
            f'{where} is no checkpoint that torch.save wrote, or it is cut off or damaged'
        ) from error


def _check_size(path: Path, where: str) -> None:
    try:
        if not path.is_file():
            raise NetvladError(f'{where} does not exist or is no file')
        size = path.stat().st_size
        packed = False
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
            size = max(size, sum(entry.file_size for entry in entries))
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    except OSError as error:
        raise NetvladError(f'{where} cannot be read: {error.strerror}') from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise NetvladError(f'{where} is a damaged archive') from error
    if packed:
        raise NetvladError(f'{where} refused: torch.save writes no compressed archives')
    if size > MAX_CHECKPOINT_BYTES:
        raise NetvladError(f'{where} holds {size} bytes, more than {MAX_CHECKPOINT_BYTES}')
