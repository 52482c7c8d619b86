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
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.geometry import Array, distance_m, invert, rotation_angle_deg
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import load_map
from netvlad_ros.offline.bundles.default_model import default_model
from netvlad_ros.offline.drives.drive import Frame, Traverse
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.mapping.map_builder import MapBuilder
from netvlad_ros.world.rendered_drive import DRIVE_ONE, DRIVE_TWO, record

EVENTS = ('woken up', 'carried', 'covered', 'covered, carried')
MODES = ('alone', 'sequence', 'sequence, odometry')
MAPPED_M = 1.0  # a frame this near to a mapped place can be localized
CARRIED_M = 10.0  # at least
RIGHT_M, RIGHT_DEG = 2.0, 30.0  # a prior within these of the truth is right
BEFORE, COVERED, AFTER = 20, 20, 30  # images
ODOMETRY_ERROR = 0.02  # of each step


@dataclass(frozen=True)
class Shot:
    """One image of a trial: which of the drive, None = covered; where it was taken."""

    frame: int | None
    T_map_cam: Array
    was_carried: bool = False


@dataclass(frozen=True)
class Trial:
    """What came of one event in one mode. first_right: images after it, None = not within AFTER."""

    event: str
    mode: str
    frames: tuple[int, int]  # of the drive: the last before the event, the first seen after it
    first_right: int | None
    right: int
    wrong: int
    wrong_while_covered: int
    accepted_before: int


class Drive:
    """The frames of a drive that know their pose, and which of them are on the map."""

    def __init__(self, traverse: Traverse, place_map: PlaceMap) -> None:
        if traverse.frame_id != place_map.frame_id:
            raise NetvladError(
                f"the drive's poses are in '{traverse.frame_id}', the map's in "
                f"'{place_map.frame_id}'; nothing can be compared"
            )
        self.camera = traverse.camera
        # Some bags let an image go with its frame; a drive of a few hundred fits in memory.
        self._images: list[NDArray[np.uint8]] = []
        poses: list[Array] = []
        stamps: list[int] = []
        for frame in traverse.frames():
            self._add(frame, poses, stamps)
        if len(poses) < BEFORE + COVERED + AFTER:
            raise NetvladError(f'{traverse.name} has only {len(poses)} images with a pose')
        self.T_map_cam = np.array(poses)
        self.period_ns = int(np.median(np.diff(stamps)))
        self._is_mapped = np.array(
            [distance_m(place_map.T_map_cam, T).min() <= MAPPED_M for T in poses]
        )

    def _add(self, frame: Frame, poses: list[Array], stamps: list[int]) -> None:
        if frame.T_map_cam is None:
            return
        self._images.append(frame.read())
        poses.append(frame.T_map_cam)
        stamps.append(frame.stamp_ns)

    def image(self, shot: Shot) -> NDArray[np.uint8]:
        """Pixels, uint8 (H, W, 3); black if the camera was covered."""
        return self._images[0] * 0 if shot.frame is None else self._images[shot.frame]

    def trials(self, count: int, rng: np.random.Generator) -> Iterator[tuple[str, list[Shot], int]]:
        """Each event `count` times: its name, the images, and how many are before it."""
        first = [i for i in range(BEFORE, len(self._images)) if self._mapped(i - BEFORE, i + 1)]
        second = [j for j in range(len(self._images) - AFTER) if self._mapped(j, j + AFTER)]
        pairs = [
            (i, j)
            for i in first
            for j in second
            if distance_m(self.T_map_cam[i], self.T_map_cam[j]) >= CARRIED_M
        ]
        through = [i for i in first if i + COVERED + 1 in second]
        if not pairs or not through:
            raise NetvladError('too little of this drive is mapped to carry the camera about on it')
        for i, j in rng.choice(pairs, count, replace=False):
            before, after = self._shots(i - BEFORE, i + 1), self._shots(j, j + AFTER)
            carried = [Shot(j, self.T_map_cam[j], was_carried=True), *after[1:]]
            hidden = [Shot(None, self.T_map_cam[i])] * COVERED
            yield EVENTS[0], after, 0
            yield EVENTS[1], before + carried, len(before)
            yield EVENTS[3], before + hidden + carried, len(before)
        for i in rng.choice(through, count, replace=False):
            before = self._shots(i - BEFORE, i + 1)
            hidden = [Shot(None, shot.T_map_cam) for shot in self._shots(i + 1, i + 1 + COVERED)]
            after = self._shots(i + 1 + COVERED, i + 1 + COVERED + AFTER)
            yield EVENTS[2], before + hidden + after, len(before)

    def _mapped(self, start: int, stop: int) -> bool:
        return bool(self._is_mapped[start:stop].all())

    def _shots(self, start: int, stop: int) -> list[Shot]:
        return [Shot(int(i), self.T_map_cam[i]) for i in range(start, stop)]


def matches(localizer: Localizer, drive: Drive, shots: list[Shot], mode: str) -> Iterator[Match]:
    """What the localizer answers to each image."""
    localizer.reset()
    rng = np.random.default_rng(0)
    T_odom_cam = np.eye(4)
    for n, shot in enumerate(shots):
        if n and not shot.was_carried:
            step = invert(shots[n - 1].T_map_cam) @ shot.T_map_cam
            step[:3, 3] *= rng.normal(1.0, ODOMETRY_ERROR)
            T_odom_cam = T_odom_cam @ step
        image, stamp_ns = drive.image(shot), n * drive.period_ns
        if mode == 'alone':
            yield localizer.recognize(image, stamp_ns, camera=drive.camera)
        else:
            odometry = T_odom_cam if mode == 'sequence, odometry' else None
            yield localizer.step(image, stamp_ns, camera=drive.camera, T_odom_cam=odometry)


def run(
    localizer: Localizer, drive: Drive, event: str, shots: list[Shot], start: int, mode: str
) -> Trial:
    """One event in one mode."""
    right, wrong, hidden, before = [], 0, 0, 0
    seen = 0
    for n, match in enumerate(matches(localizer, drive, shots, mode)):
        shot = shots[n]
        is_accepted = match.prior is not None
        if n < start:
            before += is_accepted
            continue
        seen += shot.frame is not None
        if match.prior is None:
            continue
        off_m = float(distance_m(match.prior.T, shot.T_map_cam))
        off_deg = float(rotation_angle_deg(match.prior.T, shot.T_map_cam))
        if shot.frame is None:
            hidden += off_m > RIGHT_M or off_deg > RIGHT_DEG
        elif off_m <= RIGHT_M and off_deg <= RIGHT_DEG:
            right.append(seen)
        else:
            wrong += 1
    last = shots[start - 1].frame if start else -1
    first = next(shot.frame for shot in shots[start:] if shot.frame is not None)
    return Trial(
        event,
        mode,
        (int(last or 0), int(first)),
        right[0] if right else None,
        len(right),
        wrong,
        hidden,
        before,
    )


def summary(trials: list[Trial]) -> list[dict[str, Any]]:
    """One row for each event and mode."""
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
    """The same for people."""
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
    """Map of the demo's first drive and the second drive, made in `out` unless they are there."""
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
        drive = Drive(open_drive(query), place_map)
        config = LocalizerConfig(verification=not options.no_verification)
        localizer = Localizer(bundle, place_map, config)
        planned = [
            (*trial, mode)
            for trial in drive.trials(options.trials, np.random.default_rng(0))
            for mode in MODES
        ]
        trials = [
            run(localizer, drive, event, shots, start, mode)
            for event, shots, start, mode in track(planned, 'drive', console=console)
        ]
    except NetvladError as error:
        print(f'measure_kidnapping failed: {error}', file=sys.stderr)
        return 2
    rows = summary(trials)
    console.print(table(rows))
    if options.json:
        figures = {'summary': rows, 'trials': [asdict(trial) for trial in trials]}
        options.json.write_text(json.dumps(figures, indent=1), encoding='utf-8')
    return int(any(row['accepted_wrong'] for row in rows))


if __name__ == '__main__':
    sys.exit(main())
