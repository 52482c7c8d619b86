"""`netvlad import`: makes bundles of public models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_model(
    source: Annotated[
        Path,
        typer.Argument(
            metavar='FILE',
            help='Network of the NetVLAD authors (.mat), checkpoint of pytorch-NetVlad or of the '
            'deep visual geo-localization benchmark.',
        ),
    ],
    out: Annotated[Path, typer.Option('--out', help='Bundle to write, .onnx.')],
    layout: Annotated[
        str,
        typer.Option('--layout', help='auto, matlab_netvlad, pytorch_netvlad or vgbench.'),
    ] = 'auto',
    image_size: Annotated[
        str,
        typer.Option(
            '--image-size', metavar='HxW', help='Pixels that every image is stretched to.'
        ),
    ] = '480x640',
    dim: Annotated[
        int,
        typer.Option('--dim', min=0, help='Keep so many dimensions of a whitened network; 0: all.'),
    ] = 0,
    pooling: Annotated[
        str,
        typer.Option('--pooling', help='mac, spoc or rmac, where it leaves no trace in the file.'),
    ] = '',
    l2: Annotated[
        str,
        typer.Option(
            '--l2',
            help='before_pool, after_pool or none: option of the benchmark that such a file was '
            'trained with.',
        ),
    ] = '',
    images: Annotated[
        Path | None,
        typer.Option('--images', help='Folder of images to compare on; left out: noise is used.'),
    ] = None,
    licence: Annotated[
        str, typer.Option('--licence', help='Of these weights, for the record.')
    ] = 'unknown',
) -> None:
    """Turn a public model into a bundle that answers as it did; needs torch (the extra "train").

    Checkpoints are pickles: only tensors are taken from them, code in them is refused. A file with
    a layer missing or unknown is refused too. The bundle appears only if torch and onnxruntime
    agree on it.
    """
    from netvlad_ros.core.errors import NetvladError

    try:
        from netvlad_ros.training.importers.import_bundle import import_bundle
    except ImportError as error:
        raise NetvladError(
            f"importing needs {error.name or 'torch'}: pip install 'netvlad_ros[train]'"
        ) from error

    typer.echo(
        import_bundle(
            source,
            out,
            layout=layout,
            size=_size(image_size),
            dim=dim,
            pooling=pooling,
            l2=l2,
            images=images,
            licence=licence,
        )
    )


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition('x')
    if not (height.isdecimal() and width.isdecimal()):
        raise typer.BadParameter(f'"{text}" is no size: write HEIGHTxWIDTH, as in 480x640')
    return int(height), int(width)
