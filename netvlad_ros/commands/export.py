"""`netvlad export`: bundles from networks and runs, and smaller bundles from bundles."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def export(
    source: Annotated[
        Path,
        typer.Argument(
            help='A network file (.json or .safetensors), the folder of a finished run, or a '
            'bundle (.onnx).'
        ),
    ],
    out: Annotated[Path, typer.Option('--out', help='Bundle to write, .onnx.')],
    dim: Annotated[
        int | None,
        typer.Option('--dim', min=1, help='Keep so many dimensions of a whitened descriptor.'),
    ] = None,
    half: Annotated[
        bool, typer.Option('--half', help='Weights and convolutions in float16.')
    ] = False,
    images: Annotated[
        Path | None,
        typer.Option('--images', help='Folder of images to compare on; left out: noise is used.'),
    ] = None,
) -> None:
    """Write a model bundle, or a smaller one; networks and runs need torch (the extra "train").

    The bundle appears only if it answers as its source did (cosine above 0.9999). The last
    whitening layer is cut, not masked: fewer dimensions make a smaller file and less work. Fewer
    dimensions move every similarity, so a calibration does not survive a cut.
    """
    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.offline.bundles.parity import images_of_folder
    from netvlad_ros.offline.bundles.revised_bundle import revise_bundle

    if out.suffix != '.onnx':
        raise NetvladError(f'--out {out}: the name of a bundle ends in .onnx')
    compared = [] if images is None else images_of_folder(images)
    if source.suffix == '.onnx':
        model_id, dropped = revise_bundle(source, out, dim=dim, half=half, images=compared)
    elif dim is None and not half:
        model_id, dropped = _export_network(source, out, compared), False
    else:
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / out.name
            _export_network(source, whole, compared)
            model_id, dropped = revise_bundle(
                whole, out, dim=dim, half=half, images=compared, where=f'network {source}'
            )
    if dropped:
        typer.echo('the calibration was dropped: it does not hold for fewer dimensions', err=True)
    typer.echo(f'{out}: model {model_id[:12]}, {out.stat().st_size / 1e6:.1f} MB')


def _export_network(source: Path, out: Path, images: list[NDArray[np.uint8]]) -> str:
    from netvlad_ros.core.errors import NetvladError

    try:
        from netvlad_ros.training.network.export import export_bundle
        from netvlad_ros.training.network.network_file import load_network
    except ImportError as error:
        raise NetvladError(
            f"export of a network needs {error.name or 'torch'}: pip install 'netvlad_ros[train]'"
        ) from error
    from netvlad_ros.offline.bundles.parity import stand_in_images

    path = source / 'network' if source.is_dir() else source
    if source.is_dir() and not path.with_suffix('.json').is_file():
        raise NetvladError(f'{source} holds no network.json: no finished run; name a network file')
    network, extra = load_network(path)
    if not network.whitening.fitted:
        raise NetvladError(f'network {path}: its whitening is not fitted; let its run finish')
    facts: dict[str, Any] = {
        'name': out.stem,
        'licence': 'unknown',
        'training': {},
        'calibration': None,
    }
    given = extra.get('metadata', {})
    if not isinstance(given, dict):
        raise NetvladError(f'network {path}: its metadata is no JSON object')
    real = images or stand_in_images(network.preprocessing)
    return export_bundle(network, real, {**facts, **given}, out)
