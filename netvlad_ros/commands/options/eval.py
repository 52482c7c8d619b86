"""Options of netvlad eval, and which of them each mode takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad_ros.commands.options.shared import not_negative, parse_slice

MAP_PANEL = 'With --map'
PAIRS_PANEL = 'With --pairs'

Judging = Annotated[
    Path | None,
    typer.Argument(
        metavar='SOURCE',
        help='With --map: the drive to localize, of any kind. With --benchmark: its folder.',
    ),
]
MapFolder = Annotated[
    Path | None, typer.Option('--map', metavar='DIR', help='The map to localize on.')
]
Pairs = Annotated[
    Path | None,
    typer.Option(
        metavar='FOLDER',
        help='Judge descriptors on a folder with pairs.csv (query,db) instead of a map.',
    ),
]
BenchmarkName = Annotated[
    str | None,
    typer.Option(
        metavar='NAME',
        help='Judge descriptors on a public benchmark, one of those that `netvlad benchmarks` '
        'lists.',
    ),
]
JsonFile = Annotated[
    Path | None,
    typer.Option('--json', metavar='F', help='Write the result here; - = stdout.'),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar='DIR',
        help='Write metrics.json, matches.csv, pictures and one page, report.html, into this '
        'folder.',
    ),
]
Radius = Annotated[
    float,
    typer.Option(
        callback=not_negative,
        help='A place within so many metres is right.',
        rich_help_panel=MAP_PANEL,
    ),
]
Angle = Annotated[
    float | None,
    typer.Option(
        callback=not_negative,
        help='... and turned by at most so many degrees; left out: any rotation is right.',
        rich_help_panel=MAP_PANEL,
    ),
]
SameRecording = Annotated[
    bool,
    typer.Option(
        '--same-recording',
        help='The drive made the map: judge by those of its images that are no places. Left out, '
        'they are refused if places are among them, and judged if a --slice leaves none.',
        rich_help_panel=MAP_PANEL,
    ),
]
Unmapped = Annotated[
    bool,
    typer.Option(
        '--unmapped',
        help='The drive (or any folder of images) shows nothing of the map: every acceptance '
        'is wrong.',
        rich_help_panel=MAP_PANEL,
    ),
]
Verification = Annotated[
    bool,
    typer.Option(
        '--verification/--no-verification',
        help='Compare local features too.',
        rich_help_panel=MAP_PANEL,
    ),
]
BeliefOverTime = Annotated[
    bool,
    typer.Option(
        '--belief/--no-belief',
        help='Let images of a sequence add up.',
        rich_help_panel=MAP_PANEL,
    ),
]
Compare = Annotated[
    bool,
    typer.Option(
        '--compare',
        help='Compare verification and belief, on and off.',
        rich_help_panel=MAP_PANEL,
    ),
]
AcceptProbability = Annotated[
    float | None,
    typer.Option(
        help='Least probability to be accepted; left out: as the robot does.',
        rich_help_panel=MAP_PANEL,
    ),
]
Queries = Annotated[
    slice | None,
    typer.Option(
        parser=parse_slice,
        metavar='A:B:C',
        help='Of the query column, keep the images in this slice of the sorted list of all '
        'images in the folder.',
        rich_help_panel=PAIRS_PANEL,
    ),
]
Database = Annotated[
    slice | None,
    typer.Option(
        parser=parse_slice,
        metavar='A:B:C',
        help='Search in this slice of the sorted list of all images; left out: in the images '
        'of the db column.',
        rich_help_panel=PAIRS_PANEL,
    ),
]
Decide = Annotated[
    bool,
    typer.Option(
        '--decide',
        help='Also accept or refuse, with SIFT features, on a temporary map of the database: '
        'its images are taken to stand a metre apart, the queries to come every half second.',
        rich_help_panel=PAIRS_PANEL,
    ),
]


_ALWAYS = {'model', 'json_file', 'out', 'device'}
_IMAGES = {'map_folder', 'source', 'selection', 'image_topic', 'allow_truncated'}
_CAMERA = {'camera_file', 'camera_info_topic'}
_ROBOT = {'verification', 'belief', 'accept_probability'}
_POSES = {
    'pose_topic',
    'pose_tolerance',
    'map_frame',
    'base_frame',
    'camera_frame',
    'T_base_cam',
    'pose_is_camera',
}
_PAIRS = {'pairs', 'queries', 'database'}
TAKES = {
    '--map': _ALWAYS
    | _IMAGES
    | _CAMERA
    | _ROBOT
    | _POSES
    | {'radius', 'angle', 'compare', 'same_recording'},
    '--unmapped': _ALWAYS | _IMAGES | _CAMERA | _ROBOT | {'unmapped'},
    '--pairs': _ALWAYS | _PAIRS,
    '--pairs with --decide': _ALWAYS | _PAIRS | {'decide', 'accept_probability'},
    '--benchmark': _ALWAYS | {'benchmark', 'source'},
}


def chosen_way(
    map_folder: Path | None,
    pairs: Path | None,
    benchmark: str | None,
    *,
    unmapped: bool,
    decide: bool,
) -> str:
    """A key of TAKES. Raises typer.BadParameter unless just one way is asked for."""
    asked = {'--map': map_folder, '--pairs': pairs, '--benchmark': benchmark}
    ways = [way for way, value in asked.items() if value is not None]
    if len(ways) != 1:
        raise typer.BadParameter(
            'give either --map DIR and a drive, or --pairs FOLDER, or --benchmark NAME and its '
            'folder'
        )
    if unmapped and ways == ['--map']:
        return '--unmapped'
    return '--pairs with --decide' if decide and ways == ['--pairs'] else ways[0]


def refuse_others(context: typer.Context, way: str) -> None:
    """Raise typer.BadParameter if the user gave an option that means nothing to the way."""
    given = [
        parameter
        for parameter in context.command.params
        if parameter.name is not None and _is_given(context, parameter.name)
    ]
    others = [
        parameter.opts[0] if parameter.opts[0].startswith('-') else parameter.opts[0].upper()
        for parameter in given
        if parameter.name not in TAKES[way]
    ]
    if others:
        useless, it = ('mean nothing', 'them') if len(others) > 1 else ('means nothing', 'it')
        raise typer.BadParameter(
            f'{", ".join(others)} {useless} with {way}; leave {it} out{_advice(others, way)}'
        )


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name not in ('DEFAULT', 'DEFAULT_MAP')


def _advice(others: list[str], way: str) -> str:
    if way.startswith('--pairs') and '--slice' in others:
        return ', and choose images with --queries and --database'
    if way == '--pairs' and '--accept-probability' in others:
        return ', or decide too (--decide)'
    return ''
