#!/usr/bin/env python3
"""State wrong calibrations of the camera: what is accepted, and how much of it is wrong?

    python scripts/measure_camera_check.py --map M --query redkitchen --slice 500:1000:5
    python scripts/measure_camera_check.py --map demo_output/map --query demo_output/drive_two

Every image of the query goes through the robot's own Localizer, alone and in sequence, once for
each calibration that camera_info might state and each value of the parameter camera_check. The
check learns from the images in their order, also for answers to images alone, as in the node.
A pose is wrong if it is off by more than 1 m or 30 degrees. Exit code 1 if one was accepted under
`refuse` or `estimate`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from netvlad_ros.commands.options.shared import parse_slice
from netvlad_ros.core.camera.camera_model import CameraModel
from netvlad_ros.core.camera.intrinsics import (
    ASPECT,
    CENTRE_X,
    CENTRE_Y,
    FOCAL,
    intrinsics_of,
    with_intrinsics,
)
from netvlad_ros.core.decision.match import Match
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import LocalFeatures
from netvlad_ros.core.geometry import distance_m, rotation_angle_deg
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import load_map
from netvlad_ros.offline.bundles.default_model import default_model
from netvlad_ros.offline.drives.open_drive import open_drive

MODES = ('trust', 'refuse', 'estimate')
WAYS = ('alone', 'in sequence')
WRONG_M, WRONG_DEG = 1.0, 30.0


@dataclass(frozen=True)
class Outcome:
    """Counts of one calibration, mode and way.

    Attributes:
        kind: the calibration that camera_info states.
        mode: value of camera_check.
        way: one of WAYS.
        images: number of images.
        accepted: accepted poses.
        wrong: of them, off by more than WRONG_M or WRONG_DEG.
        by_landmarks: of them, poses by landmarks.
        median_m: median position error of the accepted poses [m].
        nees_in_95: share of the accepted errors inside the 95 % bound of the covariance.
        state: of the check after the last image.
    """

    kind: str
    mode: str
    way: str
    images: int
    accepted: int
    wrong: int
    by_landmarks: int
    median_m: float
    nees_in_95: float
    state: str


def calibrations(camera: CameraModel) -> Iterator[tuple[str, CameraModel]]:
    """The true calibration and wrong ones, by name."""
    yield 'right', camera
    right = intrinsics_of(camera)
    for factor in (0.5, 1.2, 1.5, 2.0):
        yield f'focal length x{factor:g}', _changed(camera, {FOCAL: np.log(factor)})
    yield 'principal point a quarter off', _changed(camera, {CENTRE_X: 0.25})
    corner = {CENTRE_X: 0.5 / camera.width - right[CENTRE_X]}
    corner[CENTRE_Y] = 0.5 / camera.width - right[CENTRE_Y]
    yield 'principal point (0, 0)', _changed(camera, corner)
    yield 'aspect 1.3', _changed(camera, {ASPECT: np.log(1.3)})


def _changed(camera: CameraModel, by: dict[int, float]) -> CameraModel:
    intrinsics = intrinsics_of(camera)
    for index, offset in by.items():
        intrinsics[index] += offset
    return with_intrinsics(camera, intrinsics)


class Remembered:
    """A model and features whose answers to the images of a drive are computed once.

    All calibrations and modes see the same images.
    """

    def __init__(self, localizer: Localizer) -> None:
        self._localizer = localizer
        self._retrieve = localizer._retrieve
        self._known: dict[int, Any] = {}

    def __call__(self, rgb: NDArray[np.uint8], watch: Any) -> tuple[Any, LocalFeatures | None]:
        """Stands in for Localizer._retrieve."""
        if id(rgb) not in self._known:
            self._known[id(rgb)] = self._retrieve(rgb, watch)
        for stage in ('describe', 'search'):
            watch.lap(stage)
        return self._known[id(rgb)]


def measure(
    bundle: ModelBundle,
    place_map: PlaceMap,
    query: Path,
    selection: slice,
    kinds: list[str],
    modes: list[str],
) -> Iterator[Outcome]:
    """Localize the images with every calibration and mode."""
    drive = open_drive(query)
    if drive.camera is None:
        raise NetvladError(f'{query} has no camera calibration')
    frames = [f for f in drive.frames(selection) if f.T_map_cam is not None]
    images = [(frame.read(), frame.stamp_ns, frame.T_map_cam) for frame in frames]
    localizer = Localizer(bundle, place_map)
    remembered = Remembered(localizer)
    for kind, camera in calibrations(drive.camera):
        if kinds and not any(word in kind for word in kinds):
            continue
        for mode in modes:
            localizer = Localizer(bundle, place_map, LocalizerConfig(camera_check=mode))
            localizer._retrieve = remembered  # type: ignore[method-assign, assignment]
            answers = [localizer.both(rgb, stamp_ns, camera=camera) for rgb, stamp_ns, _ in images]
            check = localizer.camera_checks.newest('')
            state = 'not checked' if check is None else check.words
            truth = np.array([T for _, _, T in images])
            for way, matches in zip(WAYS, zip(*answers, strict=True), strict=True):
                counted = _count(list(matches), truth)
                yield replace(counted, kind=kind, mode=mode, way=way, state=state)


def _count(matches: list[Match], truth: NDArray[np.float64]) -> Outcome:
    accepted = [i for i, match in enumerate(matches) if match.prior is not None]
    priors = [match.prior for match in matches if match.prior is not None]
    T = np.array([prior.T for prior in priors]).reshape(-1, 4, 4)
    off_m = distance_m(T, truth[accepted]) if priors else np.zeros(0)
    off_deg = rotation_angle_deg(T, truth[accepted]) if priors else np.zeros(0)
    sigma_m = np.array([np.sqrt(np.diag(prior.covariance)[:3]) for prior in priors])
    away = T[:, :3, 3] - truth[accepted][:, :3, 3] if priors else np.zeros((0, 3))
    nees = ((away / sigma_m.reshape(-1, 3)) ** 2).sum(axis=1)
    return Outcome(
        kind='', mode='', way='', images=len(matches), accepted=len(priors),
        wrong=int(((off_m > WRONG_M) | (off_deg > WRONG_DEG)).sum()),
        by_landmarks=sum(prior.method == 'landmarks' for prior in priors),
        median_m=float(np.median(off_m)) if priors else float('nan'),
        nees_in_95=float((nees <= 7.81).mean()) if priors else float('nan'),  # chi2, 3 numbers
        state='',
    )  # fmt: skip


def table(outcomes: list[Outcome]) -> Table:
    """All counts, one row for each calibration and way."""
    out = Table(title='accepted / wrong / by landmarks', title_justify='left')
    modes = list(dict.fromkeys(outcome.mode for outcome in outcomes))
    for name in ('camera_info', '', *modes):
        out.add_column(name, justify='right' if name in modes else 'left')
    for kind in dict.fromkeys(outcome.kind for outcome in outcomes):
        for way in WAYS:
            row = {o.mode: o for o in outcomes if (o.kind, o.way) == (kind, way)}
            cells = [f'{o.accepted}/{o.wrong}/{o.by_landmarks}' for o in row.values()]
            out.add_row(kind, way, *cells, end_section=way == WAYS[-1])
    return out


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--map', type=Path, required=True, help='a map with landmarks')
    parser.add_argument('--query', type=Path, required=True, help='another drive with poses')
    parser.add_argument('--slice', type=parse_slice, default=slice(None), help='which images')
    parser.add_argument('--kinds', nargs='*', default=[], help='only calibrations with these words')
    parser.add_argument('--modes', nargs='*', default=list(MODES), help='values of camera_check')
    parser.add_argument('--model', type=Path, help="model bundle; default: the package's own")
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    cv2.setNumThreads(1)
    console = Console()
    try:
        bundle = ModelBundle.load(options.model or default_model(), device='cpu')
        place_map = load_map(options.map)
        rows = measure(
            bundle, place_map, options.query, options.slice, options.kinds, options.modes
        )
        outcomes = list(track(rows, 'localize', console=console))
    except NetvladError as error:
        print(f'measure_camera_check failed: {error}', file=sys.stderr)
        return 2
    console.print(table(outcomes))
    for kind, state in dict.fromkeys((o.kind, o.state) for o in outcomes if o.mode == 'refuse'):
        console.print(f'{kind}: {state}', highlight=False)
    if options.json:
        rows_json = [vars(outcome) for outcome in outcomes]
        options.json.write_text(json.dumps(rows_json, indent=1), encoding='utf-8')
    return int(any(o.wrong for o in outcomes if o.mode != 'trust'))


if __name__ == '__main__':
    sys.exit(main())
