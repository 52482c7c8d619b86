"""A MATLAB file's variable `net`, read with its size known beforehand."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from scipy.io import loadmat

from netvlad_ros.core.errors import NetvladError

MAX_MAT_BYTES = 2 * 2**30  # unpacked; VGG16-NetVLAD with its 4096-D whitening is 0.6 GB
_HEADER_BYTES = 128
_COMPRESSED = 15  # miCOMPRESSED of the MAT-file format, level 5
_CHUNK = 2**20
_AS_STRUCT = (
    'in MATLAB: load it, for i = 1:numel(net.layers), net.layers{i} = struct(net.layers{i}); end, '
    "save(..., 'net', '-v7')"
)


def load_net(path: Path) -> Any:
    """The struct `net` of a MAT-file of level 5: fields are attributes, singleton axes dropped.

    Raises:
        NetvladError: path is absent, too large once unpacked, of level 7.3 (HDF5), damaged, or
            without a struct `net` whose layers are structs; the sentence says how to convert it.
    """
    where = f'MATLAB network {path}'
    _check_size(path, where)
    try:
        mat = loadmat(path, struct_as_record=False, squeeze_me=True, variable_names=['net'])
    except NotImplementedError:
        raise NetvladError(f'{where} is a file of version 7.3; convert it {_AS_STRUCT}') from None
    except Exception as error:  # a hostile file makes SciPy stumble over a dozen types
        raise NetvladError(f'{where} is no MATLAB file, or it is cut off or damaged') from error
    net = mat.get('net')
    if net is None or not hasattr(net, 'layers') or not hasattr(net, 'meta'):
        raise NetvladError(f'{where} holds no struct net with layers and meta')
    for number, layer in enumerate(getattr(net.layers, 'flat', ())):
        if not hasattr(layer, 'type') or not hasattr(layer, 'name'):
            raise NetvladError(
                f'{where}: layer {number} is an object of a MATLAB class; convert it {_AS_STRUCT}'
            )
    return net


def _check_size(path: Path, where: str) -> None:
    try:
        if not path.is_file():
            raise NetvladError(f'{where} does not exist or is no file')
        with path.open('rb') as file:
            total = _unpacked_bytes(file, path.stat().st_size)
    except OSError as error:
        raise NetvladError(f'{where} cannot be read: {error.strerror}') from error
    except (zlib.error, struct.error) as error:
        raise NetvladError(f'{where} is no MATLAB file, or it is cut off or damaged') from error
    if total > MAX_MAT_BYTES:
        raise NetvladError(f'{where} holds more than {MAX_MAT_BYTES} bytes')


def _unpacked_bytes(file: BinaryIO, size: int) -> int:
    """Bytes of all variables once unpacked; stops counting beyond MAX_MAT_BYTES."""
    order = '>' if file.read(_HEADER_BYTES)[-2:] == b'MI' else '<'
    total = size
    while file.tell() + 8 <= size and total <= MAX_MAT_BYTES:
        kind, length = struct.unpack(f'{order}II', file.read(8))
        end = file.tell() + length
        if kind == _COMPRESSED:
            unpack = zlib.decompressobj()
            while file.tell() < end and total <= MAX_MAT_BYTES:
                packed = file.read(min(_CHUNK, end - file.tell()))
                if not packed:
                    break
                while packed and total <= MAX_MAT_BYTES:
                    total += len(unpack.decompress(packed, _CHUNK))
                    packed = unpack.unconsumed_tail
        file.seek(end)
    return total
