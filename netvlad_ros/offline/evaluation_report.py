"""Figures as JSON, and as lines that people read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from netvlad_ros.offline.report.report_folder import json_text, write_json
from netvlad_ros.offline.report.safe_text import one_line


def check_json_file(json_file: Path | None) -> None:
    """Raise typer.BadParameter, before any work is done, if the file can never be written."""
    if json_file is None or str(json_file) == '-':
        return
    if not json_file.absolute().parent.is_dir():
        raise typer.BadParameter(f'--json: the folder of {json_file} does not exist')
    if json_file.is_dir():
        raise typer.BadParameter(f'--json: {json_file} is a folder; name a file')


def report(result: dict[str, Any], json_file: Path | None) -> None:
    """Print the figures as lines, and write them as JSON; to stdout, and alone, if it is '-'."""
    if json_file is not None and str(json_file) == '-':
        typer.echo(json_text(result))
        return
    if json_file is not None:
        write_json(result, json_file)
    from netvlad_ros.offline.report.notices import interval_words, notices

    _print(result, '')
    for sentence in (*notices(result), interval_words(result)):
        if sentence:
            typer.echo(one_line(sentence))


def _print(result: dict[str, Any], indent: str) -> None:
    for name, value in result.items():
        if isinstance(value, list) or value == {}:
            continue  # diagrams and names: for files and pictures
        if isinstance(value, dict):
            if any(isinstance(inner, dict) for inner in value.values()):
                typer.echo(f'{indent}{name}:')
                _print(value, indent + '  ')
                continue
            value = '  '.join(f'{key}: {_number(number)}' for key, number in value.items())
        typer.echo(one_line(f'{indent}{name + ":":<16} {_number(value)}'))


def _number(value: Any) -> str:
    if value is None:
        return '-'
    if isinstance(value, list):
        return f'[{", ".join(map(_number, value))}]'
    return f'{value:.4g}' if isinstance(value, float) else str(value)
