"""`netvlad benchmarks`: the public benchmarks, and the folders that they are read from."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from netvlad_ros.offline.benchmarks.benchmark import BenchmarkInfo


def benchmarks(
    name: Annotated[
        str | None, typer.Argument(metavar='NAME', help='Tell of this one alone, in full.')
    ] = None,
    as_json: Annotated[bool, typer.Option('--json', help='Print JSON, not text.')] = False,
) -> None:
    """List the benchmarks: protocol, expected folder, who has it, NetVLAD's published figures.

    A figure far from the published one says that something is wrong: the images, or the protocol.
    """
    from netvlad_ros.offline.benchmarks.registry import BENCHMARKS, benchmark_info

    if name is not None:
        benchmark_info(name)
    if as_json:
        words = [_as_json(info) for info in BENCHMARKS.values() if name in (None, info.name)]
        # A benchmark that was asked for by name is an object, not a list of one.
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


def _metrics(info: BenchmarkInfo) -> str:
    metrics = ('recall@1', info.published_recall_at_1), ('mAP', info.published_map)
    known = [f'{what} {value:.2f}' for what, value in metrics if value is not None]
    return ', '.join(known)


def _print_all(infos: Iterable[BenchmarkInfo]) -> None:
    typer.echo("Figures are NetVLAD's as published, in percent.\n")
    for info in infos:
        title = '; '.join(words for words in (info.title, _metrics(info)) if words)
        typer.echo(f'{typer.style(info.name, bold=True)}: {title}')
        _print_lines(_words(info), indent='  ')
        typer.echo()


def _print_one(info: BenchmarkInfo) -> None:
    typer.echo(f'{typer.style(info.name, bold=True)}: {info.title}')
    more = {
        'NetVLAD [%]': _metrics(info) or 'no figure of this protocol known',
        'judged by': f'netvlad eval --benchmark {info.name} FOLDER',
        'compared by': f'netvlad compare METHODS {info.name} FOLDER',
    }
    _print_lines({**_words(info), **more}, indent='  ')


def _words(info: BenchmarkInfo) -> dict[str, str]:
    return {'right is': info.protocol, 'folder': info.layout, 'obtained from': info.obtained}


def _print_lines(words: Mapping[str, str], indent: str) -> None:
    """One line each, as wide as the terminal; continuation lines are indented to the text."""
    width = max(shutil.get_terminal_size().columns, 40)
    column = max(map(len, words)) + 2
    for name, text in words.items():
        lines = textwrap.wrap(
            text,
            width,
            initial_indent=f'{indent}{name:<{column}}',
            subsequent_indent=' ' * (len(indent) + column),
            break_on_hyphens=False,
        )
        typer.echo('\n'.join(lines))
