"""`netvlad render`: rendered places, each visited several times in changing light."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from netvlad_ros.commands.console import INTERRUPTED, progress_bar
from netvlad_ros.commands.options.shared import parse_size, parse_slice
from netvlad_ros.core.errors import NetvladError

MAX_PLACES, MAX_VISITS = 10_000, 1000


def render(
    out: Annotated[Path, typer.Option(metavar='DIR', help='Folder for the places.')],
    seeds: Annotated[
        Any,
        typer.Option(parser=parse_slice, metavar='A:B', help='One place for each of A to B - 1.'),
    ],
    number: Annotated[
        int, typer.Option('--visits', min=1, max=MAX_VISITS, help='Drives through each place.')
    ] = 4,
    kind: Annotated[
        str, typer.Option(help='town (streets) or rooms (a corridor, rooms).')
    ] = 'town',
    size: Annotated[
        Any, typer.Option(parser=parse_size, metavar='WxH', help='Of the images, in pixels.')
    ] = '464x352',
    textures: Annotated[
        Path | None,
        typer.Option(metavar='IMAGES', help='Paper walls with photographs from this folder.'),
    ] = None,
    spacing: Annotated[
        float, typer.Option(min=0.05, max=20.0, help='Metres between images.')
    ] = 0.75,
    overwrite: Annotated[bool, typer.Option('--overwrite', help='Replace places there.')] = False,
) -> None:
    """Render places, each visited several times: DIR/town10/visit0/, a folder drive, and so on.

    Visits differ in light, season, rain, parked cars and things put down, in where and how the
    camera goes, and in its exposure. Poses of all visits to a place are in the place's map frame
    (camera optical frame). The same options give the same pixels.
    """
    import cv2

    from netvlad_ros.world.rendering.photo_shelf import PhotoShelf
    from netvlad_ros.world.visited_place import KINDS, render_place

    if kind not in KINDS:
        raise NetvladError(f"--kind '{kind}' is unknown; choose {' or '.join(KINDS)}")
    first, last = seeds.start, seeds.stop
    if first is None or last is None or not 0 <= first < last <= first + MAX_PLACES or seeds.step:
        raise NetvladError(f'--seeds: write FROM:TO with 1 to {MAX_PLACES} seeds, as in 10:16')
    folders = {seed: out / f'{kind}{seed}' for seed in range(first, last)}
    there = [folder.name for folder in folders.values() if folder.exists()]
    if there and not overwrite:
        names = ', '.join(there[:3]) + (', ...' if len(there) > 3 else '')
        raise NetvladError(f'{out} holds {names} already; choose other seeds or pass --overwrite')
    shelf = None if textures is None else PhotoShelf(textures)
    cv2.setNumThreads(1)  # several of these side by side fill a machine better than one does
    try:
        for seed, folder in folders.items():
            with progress_bar(f'rendering {folder.name}') as progress:
                images = render_place(
                    kind,
                    seed,
                    folder,
                    visits=number,
                    size=size,
                    spacing_m=spacing,
                    shelf=shelf,
                    overwrite=overwrite,
                    progress=progress,
                )
            typer.echo(f'{folder}: {number} visits, {images} images')
    except KeyboardInterrupt:
        typer.echo('netvlad: interrupted; places that were finished stay', err=True)
        raise typer.Exit(INTERRUPTED) from None
