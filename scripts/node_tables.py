"""Tables of docs/node.md that are read from the code: parameters and launch arguments."""

from __future__ import annotations

import ast
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.ros.node_config import NOT_GIVEN, NodeConfig

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = ROOT / 'launch' / 'localize.launch.py'
CONFIGS = {'node': NodeConfig, 'localization': LocalizerConfig}


def parameters(part: str) -> list[tuple[str, ...]]:
    """Rows (name, default, unit, allowed values, when it may change, meaning).

    Args:
        part: 'node' or 'localization'.
    """
    return [_parameter(entry) for entry in fields(CONFIGS[part])]


def launch_arguments() -> list[tuple[str, str, str]]:
    """Rows (name, default, description) of ARGUMENTS in launch/localize.launch.py.

    The file is parsed, not run: it imports packages of a full ROS 2.
    """
    tree = ast.parse(LAUNCH.read_text(encoding='utf-8'))
    listed = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == 'ARGUMENTS'
    )
    assert isinstance(listed, ast.Dict)
    rows = []
    for key, value in zip(listed.keys, listed.values, strict=True):
        assert key is not None and isinstance(value, ast.Tuple)
        default, description = value.elts
        shown = ast.literal_eval(default) if isinstance(default, ast.Constant) else _path(default)
        words = _cell(ast.literal_eval(description))
        rows.append((f'`{ast.literal_eval(key)}`', f'`{shown}`' if shown else '', words))
    return rows


def _parameter(entry: Field[Any]) -> tuple[str, ...]:
    metadata = entry.metadata
    return (
        f'`{entry.name}`',
        _default(entry.default),
        metadata['unit'],
        _allowed(entry),
        'unconfigured' if metadata.get('fixed') else 'any time',
        _cell(metadata['description']),
    )


def _default(value: Any) -> str:
    if value == NOT_GIVEN:
        return 'seven zeros'
    if isinstance(value, bool):
        return f'`{str(value).lower()}`'
    shown = {'': "''", (): '[]'}.get(value, value)
    return f'`{shown}`'


def _allowed(entry: Field[Any]) -> str:
    if entry.metadata.get('choices'):
        return ', '.join(entry.metadata['choices'])
    if 'range' in entry.metadata:
        low, high = entry.metadata['range']
        return f'{low:g} to {high:g}'
    return 'true, false' if isinstance(entry.default, bool) else ''


def _path(expression: ast.expr) -> str:
    """A path below the share folder, from an expression such as str(SHARE / 'a' / 'b')."""
    parts = [node.value for node in ast.walk(expression) if isinstance(node, ast.Constant)]
    return '/'.join(reversed([str(part) for part in parts]))


def _cell(text: str) -> str:
    """Text that a cell of a Markdown table can hold."""
    return text.replace('|', '\\|')
