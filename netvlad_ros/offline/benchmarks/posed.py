"""Benchmarks with a pose for each image: Hawkins, Laurel Caverns, Baidu Mall."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.files import read_plain
from netvlad_ros.offline.benchmarks.assembly import assemble, within_radius
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.benchmarks.loader import DatasetInfo
from netvlad_ros.offline.benchmarks.numbered_images import NumberedImages, images_of_rows, natural
from netvlad_ros.offline.files.image_files import SUFFIXES, image_names
from netvlad_ros.offline.files.numpy_file import read_plain_array

CAVE_RADIUS_M = 8.0
MALL_RADIUS_M = 10.0
MAX_CAMERA_BYTES = 2**14
CAMERA_LINES = 9  # 3 of the camera matrix, distortion, 3 of the rotation, the centre, the size


def load_pose_topic(
    database_rows: slice, query_rows: slice, dataset: DatasetInfo, root: Path
) -> Benchmark:
    """db_images/ and q_images/ with their rows of pose_topic_list.npy, x and y first."""
    path = dataset.file(dataset.folder(root) / 'pose_topic_list.npy')
    poses = read_plain_array(path, 'get it again')
    rows = max(database_rows.stop, query_rows.stop)
    if poses.ndim != 2 or poses.shape[1] < 2 or len(poses) < rows or poses.dtype.kind not in 'fiu':
        raise NetvladError(
            f'{path} must hold a pose a row, x and y first, at least {rows} of them; '
            f'it holds {poses.dtype} {poses.shape}'
        )
    database, queries = (
        images_of_rows(root / name, range(part.start, part.stop), dataset)
        for name, part in (('db_images', database_rows), ('q_images', query_rows))
    )
    x_y = poses[:, :2].astype(np.float64)
    if not np.isfinite(x_y[database_rows]).all() or not np.isfinite(x_y[query_rows]).all():
        raise NetvladError(f'{path}: a position is not finite')
    right = within_radius(x_y[query_rows], x_y[database_rows], CAVE_RADIUS_M)
    return assemble(dataset, root, database, queries, right)


def load_baidu_mall(dataset: DatasetInfo, root: Path) -> Benchmark:
    """training_* and query_*: images_undistort/, and gt/ with a .camera file for each image."""
    posed, unposed = [], []
    for name in ('training', 'query'):
        images = dataset.folder(dataset.folder(root) / f'{name}_images_undistort')
        found, positions_m, more = _with_cameras(images, dataset.folder(root / f'{name}_gt'))
        if not len(found):
            raise dataset.missing(root / f'{name}_gt' / '*.camera')
        posed.append((found, positions_m))
        unposed += more
    (database, database_m), (queries, queries_m) = posed
    right = within_radius(queries_m, database_m, MALL_RADIUS_M)
    return assemble(dataset, root, database, queries, right, unknown=unposed)


def _with_cameras(
    images: Path, cameras: Path
) -> tuple[NumberedImages, NDArray[np.float64], list[str]]:
    """Pair images with camera files.

    They are paired by name. They are paired by order, as AnyLoc does, only if no name agrees and
    there are as many images as cameras.

    Returns:
        One image for each camera, in natural order; the positions of the cameras, (n, 3) [m]; and
        the camera files that images lack.
    """
    names = sorted(image_names(images), key=natural)
    of_stem = {Path(name).stem: images / name for name in names}
    files = sorted(
        cameras.glob('[!.]*.camera'),
        key=lambda path: natural(path.name),
    )
    stems = [_stem(path) for path in files]
    if len(names) == len(stems) and of_stem.keys().isdisjoint(stems):
        of_stem = dict(zip(stems, of_stem.values(), strict=False))
    positions = np.array([_position(path) for path in files], dtype=np.float64).reshape(-1, 3)
    unposed = [
        f'{cameras.name}/{stem}.camera' for stem in sorted(of_stem.keys() - set(stems), key=natural)
    ]
    numbered = NumberedImages(
        tuple(f'{images.name}/{stem}' for stem in stems),
        tuple(of_stem.get(stem) for stem in stems),
    )
    return numbered, positions, unposed


def _stem(camera: Path) -> str:
    """Name of the image of a camera file, without suffix: `a` for a.camera and a.jpg.camera."""
    inner = Path(camera.stem)
    return inner.stem if inner.suffix.lower() in SUFFIXES else camera.stem


def _position(path: Path) -> list[float]:
    """The camera's centre [m]: the last line but one, three numbers."""
    try:
        lines = read_plain(path, MAX_CAMERA_BYTES, str(path)).decode().strip().splitlines()
        centre = [float(word) for word in lines[-2].split()]
    except (ValueError, IndexError) as error:
        raise NetvladError(f'{path}: its last line but one holds no position') from error
    if len(centre) != 3 or not all(map(math.isfinite, centre)):
        raise NetvladError(f'{path}: its last line but one must be three finite numbers')
    if len(lines) < CAMERA_LINES:
        raise NetvladError(f'{path} is cut off: {len(lines)} lines instead of {CAMERA_LINES}')
    return centre
