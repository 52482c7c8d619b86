"""`netvlad inspect`: draws which regions of an image decide its descriptor or a match."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad_ros.commands.console import progress_bar
from netvlad_ros.commands.options.shared import Device, Model
from netvlad_ros.core.words import one_line


def inspect(
    image: Annotated[Path, typer.Argument(help='The image to look into.')],
    out: Annotated[Path, typer.Option(metavar='X.png', help='Write the picture here.')],
    match: Annotated[
        Path | None,
        typer.Option(metavar='IMAGE2', help='Look into the match between the image and this one.'),
    ] = None,
    model: Model = None,
    patch: Annotated[
        int | None,
        typer.Option(
            help="Side of the square that is blurred, in pixels of the model's input; left out: a "
            '4.5th of the shorter side.'
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(help='Pixels from one square to the next; left out: half a square.'),
    ] = None,
    device: Device = 'auto',
) -> None:
    """Draw which regions drive an image's descriptor, or its match with another, and the clusters.

    A blurred square slides over the image: where the similarity drops, what was covered counts.
    The clusters are those of the model's NetVLAD; a model without them gets the first map alone.
    """
    from netvlad_ros.core.camera.image import check_rgb, read_image
    from netvlad_ros.core.errors import NetvladError
    from netvlad_ros.core.model.bundle import ModelBundle
    from netvlad_ros.offline.bundles.default_model import default_model
    from netvlad_ros.offline.inspection.cluster_map import ClusterReader
    from netvlad_ros.offline.inspection.inspection_plot import Inspected, draw_inspection
    from netvlad_ros.offline.inspection.occlusion_map import occlusion_map

    if out.suffix.lower() != '.png':
        raise NetvladError(f'--out: {out} must end in .png')
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise NetvladError(f'--out: {out} is a folder, or its folder does not exist')
    paths = [image] if match is None else [image, match]
    pictures = [read_image(path) for path in paths]
    for picture in pictures:
        check_rgb(picture)
    bundle = ModelBundle.load(model or default_model(), device=device)
    note, reader = '', None
    try:
        reader = ClusterReader(bundle)
        clusters = [reader.read(picture) for picture in pictures]
    except NetvladError as error:
        note, clusters = f'{error}; only the occlusion map is drawn', []
        typer.echo(one_line(f'netvlad: {note}'), err=True)
    descriptors = [bundle.describe(picture) for picture in pictures]
    inspected = []
    for number, (path, picture) in enumerate(zip(paths, pictures, strict=True)):
        with progress_bar(f'covering {path.name}') as progress:
            occlusion = occlusion_map(
                bundle,
                picture,
                descriptors[1 - number] if match else None,
                patch_px=patch,
                stride_px=stride,
                progress=progress,
            )
        inspected.append(
            Inspected(path.name, picture, occlusion, clusters[number] if clusters else None)
        )
    draw_inspection(inspected, bundle.metadata.name, note, out)
    if match is not None:
        typer.echo(f'similarity: {inspected[0].occlusion.similarity:.4f}')
    typer.echo(out)
