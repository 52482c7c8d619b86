"""Milliseconds of every stage of localization on a large map, and what the map weighs.

    python scripts/measure_stages.py MAP DRIVE [--keyframes 10000] [--size 640x480] [--images 100]

MAP, built with --landmarks, is multiplied: its keyframes are repeated, a kilometre aside and with
descriptors that resemble the real ones half as much, features and landmarks as they are. That map
is written, read back and localized on, as a robot does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from netvlad_ros.commands.options.shared import parse_size
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.feature_store import FeatureStore
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import load_map, save_map
from netvlad_ros.offline.bundles.default_model import default_model
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.report.report_folder import write_json

APART_M = 1000.0
ALIKE = 0.5
STAGES = ('describe', 'search', 'extract', 'match', 'solve', 'verify', 'decide', 'total')


def multiply(place_map: PlaceMap, keyframes: int) -> PlaceMap:
    """A map of at least this many keyframes, made of copies of a small one."""
    store = place_map.features
    if store is None or store.landmark_of is None:
        raise NetvladError(f'{place_map.directory} has no landmarks; build it with --landmarks')
    copies = -(-keyframes // len(place_map))
    rng = np.random.default_rng(0)
    descriptors, poses, offsets, landmark_of, points = [], [], [np.zeros(1, np.int64)], [], []
    keypoints = len(store.keypoints)
    for copy in range(copies):
        noise = rng.standard_normal(place_map.descriptors.shape).astype(np.float32)
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        mixed = ALIKE * place_map.descriptors + np.sqrt(1 - ALIKE**2) * noise
        described = place_map.descriptors if copy == 0 else mixed
        descriptors.append(described / np.linalg.norm(described, axis=1, keepdims=True))
        aside = np.array([APART_M * copy, 0.0, 0.0])
        T = place_map.T_map_cam.copy()
        T[:, :3, 3] += aside
        poses.append(T)
        offsets.append(store.offsets[1:] + copy * keypoints)
        landmark_of.append(
            np.where(store.landmark_of < 0, -1, store.landmark_of + copy * len(store.points))
        )
        points.append(store.points + aside)
    features = FeatureStore.create(
        store.spec,
        np.concatenate(offsets),
        np.tile(store.keypoints, (copies, 1)),
        np.tile(store.descriptors, (copies, 1)),
    ).with_landmarks(np.concatenate(points), np.concatenate(landmark_of).astype(np.int32))
    return PlaceMap.create(
        model_id=place_map.model_id,
        frame_id=place_map.frame_id,
        descriptors=np.concatenate(descriptors),
        recordings=[f'{name}-{c}' for c in range(copies) for name in place_map.recordings],
        stamps_ns=np.tile(place_map.stamps_ns, copies),
        images=list(place_map.images) * copies,
        T_map_cam=np.concatenate(poses),
        features=features,
        camera=place_map.camera,
        stated_camera=place_map.stated_camera,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('map', type=Path)
    parser.add_argument('drive', type=Path)
    parser.add_argument('--keyframes', type=int, default=10_000)
    parser.add_argument('--size', type=parse_size, default=(640, 480))
    parser.add_argument('--images', type=int, default=100)
    parser.add_argument('--model', type=Path)
    parser.add_argument('--threads', type=int, default=0, help='of inference and OpenCV; 0 = all')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    if options.threads:
        cv2.setNumThreads(options.threads)
    bundle = ModelBundle.load(
        options.model or default_model(), device='cpu', threads=options.threads
    )
    drive = open_drive(options.drive)
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        large = save_map(multiply(load_map(options.map), options.keyframes), Path(folder) / 'map')
        size = sum(file.stat().st_size for file in Path(folder).rglob('*') if file.is_file())
        started = time.perf_counter()
        large = load_map(Path(folder) / 'map')
        loaded_s = time.perf_counter() - started
        localizer = Localizer(bundle, large)
        camera = drive.camera
        step = max(1, len(drive) // options.images)
        times: dict[str, list[float]] = {stage: [] for stage in STAGES}
        accepted = 0
        for frame in drive.frames(slice(0, None, step)):
            rgb = cv2.resize(frame.read(), options.size, interpolation=cv2.INTER_AREA)
            known = camera.resized(*options.size) if camera else None
            match = localizer.step(np.asarray(rgb, np.uint8), frame.stamp_ns, camera=known)
            accepted += match.prior is not None
            for stage in STAGES:
                times[stage].append(match.timings_ms.get(stage, 0.0))
    table = Table(title=f'{len(large)} keyframes, images of {options.size[0]}x{options.size[1]}')
    for column in ('stage', 'p50 [ms]', 'p90 [ms]', 'p99 [ms]'):
        table.add_column(column, justify='right')
    stages_ms = {stage: np.percentile(times[stage], (50, 90, 99)).tolist() for stage in STAGES}
    for stage, percentiles in stages_ms.items():
        table.add_row(stage, *(f'{value:.1f}' for value in percentiles))
    console.print(table)
    console.print(f'{len(times["total"])} images, {accepted} accepted; verify = extract + match +')
    console.print(f'solve. {size / len(large) / 1000:.1f} kB a keyframe on disk, ', end='')
    console.print(f'{size / 1e9:.2f} GB, loaded and checked in {loaded_s:.1f} s')
    if options.json:
        metrics = {
            'keyframes': len(large),
            'p50_p90_p99_ms': stages_ms,
            'accepted': accepted,
            'bytes': size,
            'load_seconds': loaded_s,
        }
        write_json(metrics, options.json)


if __name__ == '__main__':
    main()
