#!/usr/bin/env python3
"""Local features of models and RootSIFT on the same image pairs: relative pose, and inliers.

    python scripts/measure_local_features.py MODEL.onnx [MODEL.onnx ...] [--ratio 0.9] [--markdown]

redkitchen       60 pairs of frames that are turned by 10 to 40 degrees and share a view
pair_samples     15 ScanNet pairs with known relative poses
michigan, wxbs   inliers of a fundamental matrix between two images of one place, median over places

The error of a relative pose is the larger of the angles of rotation and direction of translation,
as in SuperGlue (Sarlin et al., CVPR 2020); AUC is the area under its cumulative curve up to 5, 10
and 20 degrees. Matches are mutual nearest neighbours that pass the ratio test of the product.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from place_sets import DATA, EVERY, PlaceSet, print_table
from rich.console import Console
from rich.progress import track

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.extractor import FeatureExtractor, open_extractor
from netvlad_ros.core.features.local_features import FeatureSpec, LocalFeatures
from netvlad_ros.core.features.matching import match_features
from netvlad_ros.core.features.model_extractor import ModelExtractor
from netvlad_ros.core.geometry import distance_m, rotation_angle_deg
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.benchmarks.registry import benchmark_info
from netvlad_ros.offline.drives.open_drive import open_drive

T = TypeVar('T')
LIMITS_DEG = (5.0, 10.0, 20.0)
KITCHEN_PAIRS = 60
TURN_DEG = (10.0, 40.0)
MOST_APART_M = 1.0
EPIPOLAR_PX = 1.0  # at the working size of 480 px
INLIER_PX = 2.0
SCANNET_WIDTH_PX = 1296
COLUMNS = (
    'features', 'kitchen AUC@5', '@10', '@20', 'ScanNet AUC@5', '@10', '@20',
    'michigan inliers', 'wxbs inliers', 'ms/image',
)  # fmt: skip


@dataclass(frozen=True)
class PosedPair:
    """Two images with known intrinsics and relative pose.

    Attributes:
        paths: of both.
        K: (3, 3) of both [px].
        T_second_first: (4, 4), the first camera in the second camera's frame.
    """

    paths: tuple[Path, Path]
    K: tuple[NDArray[np.float64], NDArray[np.float64]]
    T_second_first: NDArray[np.float64]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', type=Path, nargs='*', metavar='MODEL.onnx')
    parser.add_argument('--data', type=Path, default=DATA)
    parser.add_argument('--ratio', type=float, help="of the ratio test; left out: the product's")
    parser.add_argument('--markdown', action='store_true')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    extractors: dict[str, FeatureExtractor] = {
        'RootSIFT': open_extractor(FeatureSpec.built_in('sift'))
    }
    for path in options.models:
        bundle = ModelBundle.load(path, device='cpu')
        extractors[path.stem] = ModelExtractor(FeatureSpec.of_model(bundle.metadata, 1000), bundle)
    kitchen, scannet = kitchen_pairs(options.data), scannet_pairs(options.data)
    michigan = PlaceSet.of(
        benchmark_info('michigan_12months').load(options.data / 'michigan_12months')
    )
    wxbs = PlaceSet.of_pairs(options.data / 'wxbs', EVERY)
    rows = []
    for name, extractor in extractors.items():
        cells: list[str] = []
        taken: list[float] = []
        for pairs in (kitchen, scannet):
            errors = [pose_error(pair, extractor, options.ratio, taken) for pair in shown(pairs)]
            cells += [f'{area(errors, limit):.3f}' for limit in LIMITS_DEG]
        for place_set in (michigan, wxbs):
            counts = [
                inliers(*pair, extractor, options.ratio) for pair in shown(pairs_of(place_set))
            ]
            cells.append(f'{np.median(counts):.0f}')
        rows.append([name, *cells, f'{1e3 * np.median(taken):.0f}'])
    print_table('local features', COLUMNS, rows, markdown=options.markdown, json_file=options.json)


def shown(pairs: Sequence[T]) -> Iterable[T]:
    """The same, with progress."""
    return track(pairs, 'matching', console=Console(stderr=True), transient=True)


def kitchen_pairs(data: Path) -> list[PosedPair]:
    """Pairs of redkitchen, evenly spread over the drive."""
    drive = open_drive(data / 'redkitchen')
    assert drive.camera is not None
    K = np.asarray(drive.camera.K, dtype=np.float64)
    frames = list(drive.frames(slice(0, None, 5), []))
    poses = np.array([frame.T_map_cam for frame in frames])
    found = []
    for i in range(len(frames)):
        turned = rotation_angle_deg(poses[i], poses)
        apart = distance_m(poses[i], poses)
        good = (turned >= TURN_DEG[0]) & (turned <= TURN_DEG[1]) & (apart <= MOST_APART_M)
        good &= (apart > 0.1) & (np.arange(len(frames)) > i)
        if good.any():
            j = int(np.flatnonzero(good)[-1])
            paths = tuple(data / 'redkitchen' / frames[k].image for k in (i, j))
            found.append(
                PosedPair((paths[0], paths[1]), (K, K), np.linalg.inv(poses[j]) @ poses[i])
            )
    spread = np.unique(np.linspace(0, len(found) - 1, KITCHEN_PAIRS).round().astype(int))
    return [found[i] for i in spread]


def scannet_pairs(data: Path) -> list[PosedPair]:
    """The pairs of scannet_relative_poses.csv."""
    folder = data / 'pair_samples'
    found = []
    with (folder / 'scannet_relative_poses.csv').open(newline='') as file:
        for row in csv.DictReader(file):
            found.append(posed_pair(folder, row))
    return found


def posed_pair(folder: Path, row: dict[str, str]) -> PosedPair:
    """One line of scannet_relative_poses.csv; its intrinsics are those of SCANNET_WIDTH_PX."""
    paths = folder / row['image0'], folder / row['image1']
    K = []
    for side, path in enumerate(paths):
        matrix = np.array([float(row[f'K{side}_{i}']) for i in range(9)]).reshape(3, 3)
        matrix[:2] *= read_image(path).shape[1] / SCANNET_WIDTH_PX
        K.append(matrix)
    T = np.array([float(row[f'T_0to1_{i}']) for i in range(16)]).reshape(4, 4)
    return PosedPair(paths, (K[0], K[1]), T)


def pairs_of(place_set: PlaceSet) -> list[tuple[Path, Path]]:
    """Each query with its first right image."""
    first = place_set.relevant.argmax(axis=1)
    return [
        (query, place_set.database[row])
        for query, row in zip(place_set.queries, first.tolist(), strict=True)
    ]


def pose_error(
    pair: PosedPair, extractor: FeatureExtractor, ratio: float | None, taken_s: list[float]
) -> float:
    """Error of the relative pose [deg]; 180 where there is none."""
    found, sides = [], []
    for path in pair.paths:
        rgb = read_image(path)
        started = time.perf_counter()
        found.append(extractor.extract(rgb))
        taken_s.append(time.perf_counter() - started)
        sides.append(max(rgb.shape[:2]))
    a, b = matched(found[0], found[1], extractor, ratio)
    if len(a) < 5:
        return 180.0
    rays = [
        cv2.undistortPoints(points[:, None], K, None)[:, 0]
        for points, K in zip((a, b), pair.K, strict=True)
    ]
    tangent = EPIPOLAR_PX * max(sides) / 480 / float(pair.K[0][0, 0])
    E, mask = cv2.findEssentialMat(
        rays[0], rays[1], np.eye(3), cv2.USAC_ACCURATE, 0.99999, tangent, 10000
    )
    if E is None or E.shape != (3, 3):
        return 180.0
    _, R, t, _ = cv2.recoverPose(E, rays[0], rays[1], np.eye(3), 1e9, mask=mask)[:4]
    truth = pair.T_second_first
    turned = float(np.degrees(np.arccos(np.clip((np.trace(R.T @ truth[:3, :3]) - 1) / 2, -1, 1))))
    direction = truth[:3, 3] / np.linalg.norm(truth[:3, 3])
    cosine = abs(float(t.ravel() @ direction))  # the sign is not observable
    return max(turned, float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))


def inliers(first: Path, second: Path, extractor: FeatureExtractor, ratio: float | None) -> int:
    """Inliers of a fundamental matrix between two images."""
    features = [extractor.extract(read_image(path)) for path in (first, second)]
    a, b = matched(features[0], features[1], extractor, ratio)
    if len(a) < 8:
        return 0
    _, mask = cv2.findFundamentalMat(a, b, cv2.USAC_MAGSAC, INLIER_PX, 0.999, 2000)
    return 0 if mask is None else int(mask.sum())


def matched(
    first: LocalFeatures, second: LocalFeatures, extractor: FeatureExtractor, ratio: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matched keypoints, float64 (m, 2) each [px]."""
    limit = extractor.spec.ratio if ratio is None else ratio
    i, j = match_features(first, second, extractor.spec.metric, ratio=limit).T
    return first.keypoints[i].astype(np.float64), second.keypoints[j].astype(np.float64)


def area(errors: Sequence[float], limit: float) -> float:
    """Area under the cumulative curve of errors up to a limit, 0..1."""
    ordered = np.sort(errors)
    below = ordered[ordered < limit]
    share = np.arange(1, len(below) + 1) / len(ordered)
    x = np.concatenate([[0.0], below, [limit]])
    y = np.concatenate([[0.0], share, share[-1:] if len(share) else [0.0]])
    return float(np.trapezoid(y, x) / limit)


if __name__ == '__main__':
    try:
        main()
    except NetvladError as error:
        sys.exit(f'measure_local_features: {error}')
