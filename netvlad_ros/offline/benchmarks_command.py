"""`netvlad benchmarks`: which public benchmarks can be judged, and what they should look like."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from netvlad_ros.offline.benchmarks.benchmark import BenchmarkInfo


def benchmarks(
    name: Annotated[
        str | None, typer.Argument(metavar='NAME', help='Tell of this one alone, in full.')
    ] = None,
    as_json: Annotated[bool, typer.Option('--json', help='Print JSON, not a table.')] = False,
) -> None:
    """List the benchmarks: protocol, expected folder, who has it, NetVLAD's published figures.

    A figure far from the published one says that something is wrong: the images, or the protocol.
    """
    from netvlad_ros.offline.benchmarks.registry import BENCHMARKS, benchmark_info

    if name is not None:
        benchmark_info(name)
    if as_json:
        words = [_as_json(info) for info in BENCHMARKS.values() if name in (None, info.name)]
        # One that was asked for is an object, not a list of one.
        typer.echo(json.dumps(words if name is None else words[0], indent=2, ensure_ascii=False))
    elif name is None:
        _print_all(BENCHMARKS.values())
    else:
        _print_one(BENCHMARKS[name])


def _as_json(info: BenchmarkInfo) -> dict[str, str | float | None]:
    return {
        'name': info.name,
        'title': info.title,
        'protocol': info.protocol,
        'layout': info.layout,
        'obtained': info.obtained,
        'published_recall_at_1': info.published_recall_at_1,
        'published_map': info.published_map,
    }


def _published(info: BenchmarkInfo) -> list[str]:
    figures = ('recall@1', info.published_recall_at_1), ('mAP', info.published_map)
    return [f'{what} {value:.2f}' for what, value in figures if value is not None]


def _print_all(infos: Iterable[BenchmarkInfo]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_lines=True, title='Benchmarks', title_justify='left')
    table.add_column('name', style='bold', no_wrap=True)
    table.add_column('right is')
    table.add_column('expected folder', overflow='fold')
    table.add_column('obtained from')
    table.add_column('NetVLAD [%]', justify='right')
    for info in infos:
        figures = '\n'.join(_published(info))
        table.add_row(info.name, info.protocol, info.layout, info.obtained, figures)
    Console(highlight=False, markup=False).print(table)


def _print_one(info: BenchmarkInfo) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, title=info.title, title_justify='left')
    table.add_column(style='bold', no_wrap=True)
    table.add_column(overflow='fold')
    table.add_row('name', info.name)
    table.add_row('right is', info.protocol)
    table.add_row('expected folder', info.layout)
    table.add_row('obtained from', info.obtained)
    table.add_row('NetVLAD [%]', ', '.join(_published(info)) or 'no figure of this protocol known')
    table.add_row('judged by', f'netvlad eval --benchmark {info.name} FOLDER')
    table.add_row('compared by', f'netvlad compare METHODS {info.name} FOLDER')
    Console(highlight=False, markup=False).print(table)
