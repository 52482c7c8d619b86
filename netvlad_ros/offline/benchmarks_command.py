"""`netvlad benchmarks`: which public benchmarks can be judged, and what they should look like."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def benchmarks(
    as_json: Annotated[bool, typer.Option('--json', help='Print JSON, not a table.')] = False,
) -> None:
    """List the benchmarks: protocol, expected folder, who has it, NetVLAD's published figures.

    A figure far from the published one says that something is wrong: the images, or the protocol.
    """
    from rich.console import Console
    from rich.table import Table

    from netvlad_ros.offline.benchmarks.registry import BENCHMARKS

    if as_json:
        listed = [
            {
                'name': info.name,
                'title': info.title,
                'protocol': info.protocol,
                'layout': info.layout,
                'obtained': info.obtained,
                'published_recall_at_1': info.published_recall_at_1,
                'published_map': info.published_map,
            }
            for info in BENCHMARKS.values()
        ]
        typer.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    table = Table(show_lines=True, title='Benchmarks', title_justify='left')
    table.add_column('name', style='bold', no_wrap=True)
    table.add_column('right is')
    table.add_column('expected folder', overflow='fold')
    table.add_column('obtained from')
    table.add_column('NetVLAD [%]', justify='right')
    for info in BENCHMARKS.values():
        figures = ('recall@1', info.published_recall_at_1), ('mAP', info.published_map)
        table.add_row(
            info.name,
            info.protocol,
            info.layout,
            info.obtained,
            '\n'.join(f'{what} {value:.2f}' for what, value in figures if value is not None),
        )
    Console(highlight=False, markup=False).print(table)
