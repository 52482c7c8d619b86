"""read_public_model: a public model of any known layout, from its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.training.config.backbones import LOCAL_BACKBONES
from netvlad_ros.training.importers.imported_network import ImportedNetwork
from netvlad_ros.training.importers.matlab_netvlad import read_matlab_netvlad
from netvlad_ros.training.importers.pytorch_netvlad import read_pytorch_netvlad
from netvlad_ros.training.importers.vgbench import read_vgbench
from netvlad_ros.training.network.restricted_pickle import load_checkpoint

LAYOUTS = ('matlab_netvlad', 'pytorch_netvlad', 'vgbench')
POOLINGS = ('netvlad', 'crn', 'gem', 'mac', 'spoc', 'rmac')
L2 = ('before_pool', 'after_pool', 'none')


def read_public_model(
    path: Path,
    preprocessing: Preprocessing,
    *,
    layout: str = 'auto',
    pooling: str = '',
    l2: str = '',
    dim: int = 0,
) -> tuple[ImportedNetwork, str]:
    """The network of a file, and its layout.

    Args:
        path: a .mat file, or what torch.save wrote.
        preprocessing: size of the images that the bundle will work on.
        layout: one of LAYOUTS, or auto.
        pooling: if a PyTorch file does not contain it (see read_pytorch_netvlad, read_vgbench).
        l2: if a PyTorch file does not contain it (see read_vgbench).
        dim: number of dimensions of a whitened MATLAB network to keep; 0 keeps all.

    Raises:
        NetvladError: the layout is unknown, or the file is invalid (see the readers).
    """
    for option, value, known in (
        ('layout', layout, ('auto', *LAYOUTS, *LOCAL_BACKBONES)),
        ('pooling', pooling, ('', *POOLINGS)),
        ('l2', l2, ('', *L2)),
    ):
        if value not in known:
            words = ', '.join(word for word in known if word)
            raise NetvladError(f'--{option} {value} is unknown; choose one of {words}')
    matlab = path.suffix.lower() == '.mat' if layout == 'auto' else layout == 'matlab_netvlad'
    if matlab:
        if pooling or l2:
            raise NetvladError('a MATLAB network tells its pooling: leave --pooling and --l2 out')
        return read_matlab_netvlad(path, preprocessing, dim), 'matlab_netvlad'
    where = f'checkpoint {path}'
    if dim:
        raise NetvladError(
            f'{where} is not whitened: its dimensions have no order by which to keep {dim} of '
            'them; import it whole'
        )
    checkpoint = load_checkpoint(path)
    found = _layout(checkpoint, where)
    if layout not in ('auto', found):
        raise NetvladError(f'{where} has the layout {found}, not {layout}')
    if found == 'vgbench':
        return read_vgbench(checkpoint, where, preprocessing, pooling, l2), found
    if l2:
        raise NetvladError(f'{where} is of pytorch-NetVlad, which knows no --l2')
    return read_pytorch_netvlad(checkpoint, where, preprocessing, pooling), found


def _layout(checkpoint: Any, where: str) -> str:
    if isinstance(checkpoint, Mapping):
        state = checkpoint.get('state_dict')
        if isinstance(state, Mapping) and _has(state, 'encoder'):
            return 'pytorch_netvlad'
        if _has(checkpoint.get('model_state_dict', checkpoint), 'backbone'):
            return 'vgbench'
    raise NetvladError(
        f'{where} has neither the layout of pytorch-NetVlad (state_dict with encoder.*) nor that '
        'of the visual geo-localization benchmark (model_state_dict with backbone.*), and is none '
        f'of {", ".join(LOCAL_BACKBONES)}'
    )


def _has(state: Any, part: str) -> bool:
    return isinstance(state, Mapping) and any(part in str(key).split('.')[:2] for key in state)
