#!/usr/bin/env python3
"""Carry the camera off in mid-drive: how many images until it knows again, and what does it claim?

    python scripts/measure_kidnapping.py --out runs/kidnapping --json kidnapping.json
    python scripts/measure_kidnapping.py --map demo_output/map --query demo_output/drive_two

Stretches of a drive go through the robot's own Localizer, each three ways: every image alone, in
sequence with a bounded speed, and in sequence with odometry that errs by 2 % and does not feel
being carried. Without --map and --query the two drives of the demo are rendered into --out, and the
first is mapped with landmarks. Events: the camera wakes up on the map; it is carried to another
part of the drive between two images; it is covered for two seconds while driving on; it is carried
off while covered. Exit code 1 if a wrong prior was accepted after the event.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from kidnapping_trials import AFTER, EVENTS, MODES, Trial, TrialSource, run
from rich.console import Console
from rich.progress import track
from rich.table import Table

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import load_map
from netvlad_ros.offline.bundles.default_model import default_model
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.mapping.map_builder import MapBuilder
from netvlad_ros.world.rendered_drive import DRIVE_ONE, DRIVE_TWO, record


def summary(trials: list[Trial]) -> list[dict[str, Any]]:
    """Metrics over all trials, one row for each event and mode."""
    rows = []
    for event in EVENTS:
        for mode in MODES:
            of_it = [t for t in trials if (t.event, t.mode) == (event, mode)]
            firsts = [t.first_right for t in of_it if t.first_right is not None]
            rows.append(
                {
                    'event': event,
                    'mode': mode,
                    'trials': len(of_it),
                    'first_right_median': float(np.median(firsts)) if firsts else None,
                    'first_right_max': max(firsts, default=None),
                    'never': len(of_it) - len(firsts),
                    'accepted_right': sum(t.right for t in of_it),
                    'accepted_wrong': sum(t.wrong + t.wrong_while_covered for t in of_it),
                    'images': AFTER * len(of_it),
                }
            )
    return rows


def table(rows: list[dict[str, Any]]) -> Table:
    """The summary as a table."""
    out = Table(title='Images until the first right prior after the event', title_justify='left')
    for name in ('event', 'mode', 'trials', 'median', 'worst', 'never', 'right', 'wrong'):
        out.add_column(name, justify='left' if name in ('event', 'mode') else 'right')
    for row in rows:
        middle, worst = row['first_right_median'], row['first_right_max']
        wrong = row['accepted_wrong']
        out.add_row(
            row['event'] if row['mode'] == MODES[0] else '',
            row['mode'],
            str(row['trials']),
            '-' if middle is None else f'{middle:g}',
            '-' if worst is None else str(worst),
            str(row['never']),
            f'{row["accepted_right"]}/{row["images"]}',
            f'[red]{wrong}' if wrong else '0',
            end_section=row['mode'] == MODES[-1],
        )
    return out


def rendered(out: Path, bundle: ModelBundle, console: Console) -> tuple[PlaceMap, Path]:
    """Map of the demo's first drive, and its second drive; made in `out` unless they exist."""
    one, two = out / DRIVE_ONE.name, out / DRIVE_TWO.name
    if not one.exists() or not two.exists():
        out.mkdir(parents=True, exist_ok=True)
        with console.status('render two drives'):
            record(
                [drive for drive in (DRIVE_ONE, DRIVE_TWO) if not (out / drive.name).exists()],
                out,
                lambda *_: None,
            )
    if (out / 'map').exists():
        return load_map(out / 'map'), two
    with console.status('map drive one'):
        return MapBuilder(out / 'map', landmarks=True).build(open_drive(one), bundle), two


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--map', type=Path, help='an existing map')
    parser.add_argument('--query', type=Path, help='another drive of the mapped area, with poses')
    parser.add_argument('--out', type=Path, default=Path('runs/kidnapping'))
    parser.add_argument('--model', type=Path, help="model bundle; default: the package's own")
    parser.add_argument('--trials', type=int, default=5, help='of each event')
    parser.add_argument('--no-verification', action='store_true', help='similarity alone')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    if (options.map is None) != (options.query is None):
        parser.error('--map and --query go together')
    if options.trials < 1:
        parser.error('--trials must be at least 1')
    cv2.setNumThreads(1)
    console = Console()
    try:
        bundle = ModelBundle.load(options.model or default_model(), device='cpu')
        if options.map is None:
            place_map, query = rendered(options.out, bundle, console)
        else:
            place_map, query = load_map(options.map), options.query
        source = TrialSource(open_drive(query), place_map)
        config = LocalizerConfig(verification=not options.no_verification)
        localizer = Localizer(bundle, place_map, config)
        planned = [
            (*trial, mode)
            for trial in source.trials(options.trials, np.random.default_rng(0))
            for mode in MODES
        ]
        trials = [
            run(localizer, source, event, images, start, mode)
            for event, images, start, mode in track(planned, 'drive', console=console)
        ]
    except NetvladError as error:
        print(f'measure_kidnapping failed: {error}', file=sys.stderr)
        return 2
    rows = summary(trials)
    console.print(table(rows))
    if options.json:
        metrics = {'summary': rows, 'trials': [asdict(trial) for trial in trials]}
        options.json.write_text(json.dumps(metrics, indent=1), encoding='utf-8')
    return int(any(row['accepted_wrong'] for row in rows))


if __name__ == '__main__':
    sys.exit(main())
