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
            'deep visual geo-localization benchmark; weights of XFeat or EdgePoint2 (.pt, .pth or '
            '.safetensors).',
        ),
    ],
    out: Annotated[Path, typer.Option('--out', help='Bundle to write, .onnx.')],
    layout: Annotated[
        str,
        typer.Option(
            '--layout',
            help='auto, matlab_netvlad, pytorch_netvlad, vgbench, xfeat, edgepoint2_e64 or '
            'edgepoint2_t48.',
        ),
    ] = 'auto',
    image_size: Annotated[
        str,
        typer.Option(
            '--image-size',
            metavar='HxW',
            help='Pixels that every image is stretched to, of a place descriptor; left out: '
            '480x640.',
        ),
    ] = '',
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
    keypoints: Annotated[
        int | None,
        typer.Option(
            '--keypoints',
            min=1,
            max=8000,
            help='Of an image at most, of local features; left out: 1000.',
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option('--images', help='Folder of images to compare on; left out: noise is used.'),
    ] = None,
    licence: Annotated[
        str, typer.Option('--licence', help='Of these weights, for the record.')
    ] = 'unknown',
) -> None:
    """Turn a public model into a bundle that answers as it did; needs torch (the extra "train").

    XFeat and EdgePoint2 become feature bundles, for --features of `netvlad map`.

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
            size=_size(image_size) if image_size else None,
            dim=dim,
            pooling=pooling,
            l2=l2,
            keypoints=keypoints,
            images=images,
            licence=licence,
        )
    )


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition('x')
    if not (height.isdecimal() and width.isdecimal()):
        raise typer.BadParameter(f'"{text}" is no size: write HEIGHTxWIDTH, as in 480x640')
    return int(height), int(width)
