"""A MATLAB file's variable `net`, read with its size known beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scipy.io import loadmat

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.layouts.matlab_struct import check_unpacked_size

MAX_MAT_BYTES = 2 * 2**30  # unpacked; VGG16-NetVLAD with its 4096-D whitening is 0.6 GB
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
    try:
        if not path.is_file():
            raise NetvladError(f'{where} does not exist or is no file')
        check_unpacked_size(path, MAX_MAT_BYTES)
        mat = loadmat(path, struct_as_record=False, squeeze_me=True, variable_names=['net'])
    except OSError as error:
        raise NetvladError(f'{where} cannot be read: {error.strerror or error}') from error
    except NetvladError:
        raise
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
