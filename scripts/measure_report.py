"""How long the report of many queries takes, and how large its page is: synthetic, no matching.

Usage: python scripts/measure_report.py [--queries N] [--places N] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from netvlad_ros.core.decision.match import Status
from netvlad_ros.core.geometry import pose_matrix
from netvlad_ros.core.localizer import Localizer
from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.core.place_map.storage import save_map
from netvlad_ros.core.pose.prior import PosePrior
from netvlad_ros.offline.drives.image_drive import ImageDrive
from netvlad_ros.offline.evaluation.drive_metrics import Tolerances, score_answers
from netvlad_ros.offline.evaluation.drive_plots import draw_modes
from netvlad_ros.offline.evaluation.drive_report import drive_run
from netvlad_ros.offline.evaluation.localized_drive import LocalizedDrive, MatchSummary
from netvlad_ros.offline.report.run_report import write_report
from netvlad_ros.offline.report.similarity_matrix import PooledSimilarity

DIM = 512
HEIGHT, WIDTH = 480, 640
SCALE = SimilarityCalibration(midpoint=0.5, slope=20.0)


def lap(count: int, offset_m: float) -> np.ndarray:
    """Camera poses (count, 4, 4) on a closed course of 5 km, offset_m to the side."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radius = 800 + 120 * np.sin(5 * angles) + offset_m
    return np.array([
        pose_matrix((r * np.cos(a), r * np.sin(a), 0), (0, 0, np.sin(a / 2), np.cos(a / 2)))
        for a, r in zip(angles, radius, strict=True)
    ])  # fmt: skip


def synthetic_map(places: int, rng: np.random.Generator) -> PlaceMap:
    """A map of places whose neighbours are similar."""
    walk = np.cumsum(rng.standard_normal((places, DIM)), axis=0)
    descriptors = walk + 5 * rng.standard_normal((places, DIM))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return PlaceMap.create(
        model_id='0' * 64,
        frame_id='map',
        descriptors=descriptors.astype(np.float32),
        recordings=['first'] * places,
        stamps_ns=np.arange(places) * 10**8,
        images=[f'images/{i:06d}.jpg' for i in range(places)],
        T_map_cam=lap(places, 0.0),
        source='synthetic',
    )


def answers(
    truth: np.ndarray, place_map: PlaceMap, rng: np.random.Generator
) -> tuple[MatchSummary, ...]:
    """Synthetic matches: nine of ten right; half of the others accepted."""
    made = []
    for i, T in enumerate(truth):
        near = int(i * len(place_map) / len(truth))
        fails = rng.random() < 0.1
        first = int(rng.integers(len(place_map))) if fails else near
        ranked = [first, *((first + step) % len(place_map) for step in range(1, 10))]
        accepted = rng.random() < (0.5 if fails else 0.9)
        pose = (place_map.T_map_cam[first] if fails else T).copy()
        pose[:3, 3] += rng.normal(0, 0.2, 3)
        prior = PosePrior(pose, np.diag([0.04] * 3 + [0.03] * 3), 'map_images')
        made.append(
            MatchSummary(
                status=Status.ACCEPTED if accepted else Status.NO_MATCH,
                reason='synthetic',
                ranked=tuple(ranked),
                similarity=float(rng.uniform(0.5, 1)),
                prior=prior if accepted else None,
                estimate=prior,
                probability=float(rng.uniform(0.95, 1) if accepted else rng.uniform(0, 0.95)),
                timings_ms={'total': 10.0},
            )
        )
    return tuple(made)


def main() -> None:
    """Make a run, score it, write its report; print seconds and bytes as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--queries', type=int, default=10_000)
    parser.add_argument('--places', type=int, default=10_000)
    parser.add_argument('--out', type=Path, help='keep the report here')
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix='netvlad-') as scratch:
        out = options.out or Path(scratch) / 'report'
        out.mkdir(parents=True, exist_ok=True)
        # Noise is the worst case for JPEG. All images are links to one file.
        images = Path(scratch) / 'drive'
        (images / 'images').mkdir(parents=True)
        noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        cv2.imwrite(str(images / 'images' / 'noise.jpg'), noise)
        names = [f'images/{i:06d}.jpg' for i in range(options.queries)]
        for name in names:
            (images / name).symlink_to('noise.jpg')

        place_map = synthetic_map(options.places, rng)
        thumbnail = cv2.imencode('.jpg', cv2.resize(noise, (160, 120)))[1].tobytes()
        place_map = save_map(
            place_map,
            Path(scratch) / 'map',
            thumbnails=dict.fromkeys(range(options.places), thumbnail),
        )
        truth = lap(options.queries, 0.3)
        asked = place_map.descriptors[
            np.arange(options.queries) * options.places // options.queries
        ]
        seconds = {}
        cpu_s = time.process_time()

        started = time.perf_counter()
        similarity = PooledSimilarity(place_map.descriptors, options.queries)
        for descriptor in asked:
            similarity.add(descriptor)
        matrix = similarity.matrix()
        seconds['similarity_matrix'] = time.perf_counter() - started

        localized = LocalizedDrive(
            stamps_ns=np.arange(options.queries, dtype=np.int64) * 10**8,
            frames=tuple(range(options.queries)),
            images=tuple(names),
            truth=truth,
            single=answers(truth, place_map, rng),
            sequence=answers(truth, place_map, rng),
            skipped=(),
            similarity=matrix,
        )
        bundle = SimpleNamespace(metadata=SimpleNamespace(model_id='0' * 64, calibration=SCALE))
        localizer = Localizer(bundle, place_map)

        started = time.perf_counter()
        tolerances = Tolerances(1.0, 30.0, 1.0, 45.0)
        single, sequence = (
            score_answers(given, localized, place_map.T_map_cam, tolerances)
            for given in (localized.single, localized.sequence)
        )
        seconds['judging'] = time.perf_counter() - started

        started = time.perf_counter()
        draw_modes({'every image alone': single, 'as a sequence': sequence}, out)
        metrics = {**single.to_json(), 'sequence': sequence.to_json()}
        drive = ImageDrive(images, names)
        write_report(drive_run(metrics, localized, (single, sequence), localizer, drive, '::'), out)
        seconds['report'] = time.perf_counter() - started
        seconds['all'] = sum(seconds.values())
        cpu_s = time.process_time() - cpu_s
        sizes = {path.name: path.stat().st_size for path in sorted(out.iterdir())}
    print(
        json.dumps(
            {
                'queries': options.queries,
                'places': options.places,
                'threads': len(os.sched_getaffinity(0)),
                'seconds': {name: round(value, 2) for name, value in seconds.items()},
                'cpu_seconds': round(cpu_s, 2),
                'bytes': sizes,
            },
            indent=2,
        )
    )


if __name__ == '__main__':
    main()
