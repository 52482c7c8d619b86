"""Options that several modes of `netvlad eval` take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netvlad_ros.commands.options.shared import DRIVE_OPTIONS

if TYPE_CHECKING:
    from netvlad_ros.core.localizer_config import LocalizerConfig

MAP_PANEL = 'With --map'
PAIRS_PANEL = 'With --pairs'

EvaluatedSource = Annotated[
    Path | None,
    typer.Argument(
        metavar='SOURCE',
        help='With --map: the drive to localize, of any kind. With --benchmark: its folder.',
    ),
]
MapFolder = Annotated[
    Path | None, typer.Option('--map', metavar='DIR', help='The map to localize on.')
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
AcceptProbability = Annotated[
    float | None,
    typer.Option(
        help='Least probability to be accepted; left out: as the robot does.',
        rich_help_panel=MAP_PANEL,
    ),
]

EVERY_MODE = frozenset({'model', 'json_file', 'out', 'device'})
ON_A_MAP = frozenset({
    'map_folder',
    'source',
    'feature_model',
    'selection',
    'verification',
    'belief',
    'accept_probability',
    *DRIVE_OPTIONS,
})  # fmt: skip


def localizer_config(
    verification: bool, belief: bool, accept_probability: float | None
) -> LocalizerConfig:
    """Configuration of the evaluated localizer; None = the probability that the robot accepts."""
    from dataclasses import replace

    from netvlad_ros.core.localizer_config import LocalizerConfig
    from netvlad_ros.offline.metrics.accuracy import RECALL_AT

    config = LocalizerConfig(top_k=max(RECALL_AT), verification=verification, belief=belief)
    if accept_probability is None:
        return config
    return replace(config, accept_probability=accept_probability)
