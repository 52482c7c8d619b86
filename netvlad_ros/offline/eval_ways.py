"""The ways of `netvlad eval`, and which of its options mean something to each."""

from __future__ import annotations

from pathlib import Path

import typer

_ALWAYS = {'model', 'json_file', 'out', 'device'}
_IMAGES = {'map_folder', 'source', 'selection', 'image_topic', 'allow_truncated'}
_CAMERA = {'camera_file', 'camera_info_topic'}
_ROBOT = {'verification', 'belief', 'accept_probability'}
_POSES = {
    *('pose_topic', 'pose_tolerance', 'map_frame', 'base_frame', 'camera_frame', 'T_base_cam'),
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
