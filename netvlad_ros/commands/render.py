"""`netvlad render`: rendered places, each visited several times in changing light."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad_ros.commands.console import INTERRUPTED, progress_bar
from netvlad_ros.commands.options.shared import parse_size, parse_slice
from netvlad_ros.core.errors import NetvladError

if TYPE_CHECKING:
    from netvlad_ros.world.visited_place import Place

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
        str,
        typer.Option(help='town (streets), rooms (a corridor, rooms) or panoramas (photographs).'),
    ] = 'town',
    size: Annotated[
        Any, typer.Option(parser=parse_size, metavar='WxH', help='Of the images, in pixels.')
    ] = '464x352',
    textures: Annotated[
        Path | None,
        typer.Option(metavar='IMAGES', help='Paper walls with photographs from this folder.'),
    ] = None,
    panoramas: Annotated[
        Path | None,
        typer.Option(metavar='IMAGES', help='Panoramas of --kind panoramas, numbered by --seeds.'),
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

    Panoramas are equirectangular photographs. Their views differ in direction, zoom and light; all
    have one position. Each place is called as its photograph.
    """
    import cv2

    from netvlad_ros.world.visited_place import render_place

    first, last = seeds.start, seeds.stop
    if first is None or last is None or not 0 <= first < last <= first + MAX_PLACES or seeds.step:
        raise NetvladError(f'--seeds: write FROM:TO with 1 to {MAX_PLACES} seeds, as in 10:16')
    places = _places(kind, range(first, last), textures, panoramas)
    there = [name for name, _, _ in places if (out / name).exists()]
    if there and not overwrite:
        names = ', '.join(there[:3]) + (', ...' if len(there) > 3 else '')
        raise NetvladError(f'{out} holds {names} already; choose other seeds or pass --overwrite')
    cv2.setNumThreads(1)  # several of these side by side fill a machine better than one does
    try:
        for name, seed, make in places:
            folder = out / name
            with progress_bar(f'rendering {name}') as progress:
                images = render_place(
                    make(),
                    seed,
                    folder,
                    visits=number,
                    size=size,
                    spacing_m=spacing,
                    overwrite=overwrite,
                    progress=progress,
                )
            typer.echo(f'{folder}: {number} visits, {images} images')
    except KeyboardInterrupt:
        typer.echo('netvlad: interrupted; places that were finished stay', err=True)
        raise typer.Exit(INTERRUPTED) from None


def _places(
    kind: str, seeds: range, textures: Path | None, panoramas: Path | None
) -> list[tuple[str, int, Callable[[], Place]]]:
    """Name, seed and maker of each place; nothing is drawn before it is made."""
    from netvlad_ros.world.rendering.photo_shelf import PhotoShelf
    from netvlad_ros.world.scenes.visited_panorama import VisitedPanorama, panorama_files
    from netvlad_ros.world.visited_place import BUILT

    if kind == 'panoramas':
        if panoramas is None:
            raise NetvladError(
                '--kind panoramas needs --panoramas, a folder of equirectangular images'
            )
        files = list(panorama_files(panoramas).items())
        if seeds.stop > len(files):
            raise NetvladError(
                f'--seeds: {panoramas} holds {len(files)} panoramas, so write FROM:TO up to '
                f'0:{len(files)}'
            )
        return [(files[s][0], s, partial(VisitedPanorama, files[s][1])) for s in seeds]
    if kind not in BUILT:
        raise NetvladError(f"--kind '{kind}' is unknown; choose {', '.join(BUILT)} or panoramas")
    shelf = None if textures is None else PhotoShelf(textures)
    return [(f'{kind}{seed}', seed, partial(BUILT[kind], seed, shelf)) for seed in seeds]
