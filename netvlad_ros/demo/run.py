"""Demo: the demonstration from start to end (drives, map, node, replay over DDS, metrics)."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.core.place_map.place_map import PlaceMap
from netvlad_ros.demo.collector import Collector
from netvlad_ros.demo.demo_metrics import DemoMetrics, score_answers
from netvlad_ros.demo.node_process import ChildProcess, bring_up, start_node
from netvlad_ros.demo.summary_plot import draw
from netvlad_ros.demo.table import table
from netvlad_ros.offline.drives.bags.bag_writer import CAMERA_INFO_TOPIC, IMAGE_TOPIC
from netvlad_ros.offline.drives.drive import Drive
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.mapping.feature_choice import FeatureChoice
from netvlad_ros.offline.mapping.map_builder import MapBuilder
from netvlad_ros.world.rendered_drive import DRIVE_ONE, DRIVE_TWO, SEED, record
from netvlad_ros.world.scenes.town import Town

_AFTER_LAST_S = 1.0  # for the last answer to arrive


class Demo:
    """One demonstration; what it writes lies in the folder `out`."""

    def __init__(self, out: Path, model: Path, rate_hz: float, console: Console) -> None:
        """Load the model and make the folder.

        Args:
            out: Folder of everything that is written.
            model: Model bundle (.onnx).
            rate_hz: Images per second of the replay, at most.
            console: Where progress and results are printed.

        Raises:
            NetvladError: The model cannot be loaded, or the folder cannot be made.
        """
        self._out, self._model, self._rate_hz, self._console = out, model, rate_hz, console
        self._seconds: dict[str, float] = {}
        self._bundle = ModelBundle.load(model, device='cpu')
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NetvladError(f'{out} cannot be made: {error.strerror}') from error

    def run(self, drive: Path | None, query: Path | None) -> None:
        """Map one drive and localize the other.

        Args:
            drive: A drive of the user, to map; None: two drives are rendered.
            query: A drive of the user, to localize; None: two drives are rendered.

        Raises:
            NetvladError: The node failed, or it did not localize the rendered drive. Nothing is
                required of drives of the user.
        """
        rendered = drive is None or query is None
        if drive is None or query is None:
            drive, query = self._render()
        mapped, driven = open_drive(drive), open_drive(query)
        place_map = self._build(mapped)
        metrics = self._localize(place_map, query, driven)
        metrics.check_answers()
        values = {**metrics.values, 'seconds': self._seconds}
        (self._out / 'metrics.json').write_text(json.dumps(values, indent=1), encoding='utf-8')
        town = Town.build(SEED, DRIVE_TWO.day) if rendered else None
        draw(metrics, place_map, driven, self._out / 'demo.png', town)
        self._console.print(table(metrics.values, has_truth=metrics.has_truth, demanding=rendered))
        self._console.print(f'picture: {self._out / "demo.png"}   figures: metrics.json beside it')
        if rendered:
            metrics.check_localization()
        elif not metrics.values['accepted']:
            self._console.print('[yellow]no image of this drive was recognized for sure')

    def _render(self) -> tuple[Path, Path]:
        drives = [DRIVE_ONE, DRIVE_TWO]
        for drive in drives:
            _remove(self._out / drive.name, 'metadata.yaml')
        with self._step('render two drives') as progress:
            one, two = record(drives, self._out, progress)
        return one, two

    def _build(self, drive: Drive) -> PlaceMap:
        with self._step('map drive one') as progress:
            out = self._out / 'map'
            return MapBuilder(
                out,
                overwrite=True,
                features=FeatureChoice('default'),
                landmarks=drive.camera is not None,
            ).build(
                drive,
                self._bundle,
                progress=progress,
                landmark_progress=progress,
                left_out_progress=progress,
            )

    def _localize(self, place_map: PlaceMap, query: Path, drive: Drive) -> DemoMetrics:
        truth = _truth(drive, place_map)
        sent = self._out / 'published.csv'
        sent.unlink(missing_ok=True)
        arguments = [str(query), '--log', str(sent), '--rate', str(self._rate_hz)]
        arguments += ['--image-topic', IMAGE_TOPIC, '--info-topic', CAMERA_INFO_TOPIC]
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        with ExitStack() as stack:
            stack.callback(rclpy.try_shutdown)
            collector = Collector()
            with self._step('start the node') as progress:
                assert place_map.directory is not None
                node = stack.enter_context(
                    start_node(
                        map_folder=place_map.directory,
                        model=self._model,
                        image_topic=IMAGE_TOPIC,
                        info_topic=CAMERA_INFO_TOPIC,
                        pose_of='camera' if place_map.T_base_cam is None else 'base',
                        log=self._out / 'node.log',
                    )
                )
                # The camera starts meanwhile; it waits for a subscriber.
                replay = stack.enter_context(
                    ChildProcess('netvlad_ros.demo.replay', arguments, self._out / 'replay.log')
                )
                bring_up(node, collector)
                progress(1, 1)
            with self._step('drive two over DDS') as progress:
                last = float('inf')
                while time.monotonic() < last + _AFTER_LAST_S:
                    rclpy.spin_once(collector, timeout_sec=0.1)
                    progress(len(collector.matches), len(drive))
                    replay.check()
                    if not node.is_running:
                        raise node.failure('ended in the middle of the drive')
                    if not replay.is_running:
                        last = min(last, time.monotonic())
            return score_answers(_published(sent), truth, place_map, collector)

    @contextmanager
    def _step(self, name: str) -> Iterator[_Advance]:
        start = time.monotonic()
        columns = (TextColumn('{task.description:20}'), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self._console) as progress:
            yield _Advance(progress, name)
        self._seconds[name] = round(time.monotonic() - start, 1)


class _Advance:
    """progress(done, total) of one step."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=None)

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


def _truth(drive: Drive, place_map: PlaceMap) -> dict[int, NDArray[np.float64]]:
    if drive.frame_id != place_map.frame_id:
        return {}
    return {f.index: f.T_map_cam for f in drive.frames() if f.T_map_cam is not None}


def _published(log: Path) -> list[tuple[int, int]]:
    if not log.exists():
        return []
    rows = (line.split(',') for line in log.read_text(encoding='utf-8').splitlines())
    return [(int(index), int(stamp)) for index, stamp in rows]


def _remove(folder: Path, marker: str) -> None:
    """Remove a drive of an earlier demonstration; a folder without the marker is not one."""
    if (folder / marker).is_file():
        shutil.rmtree(folder)
    elif folder.exists():
        raise NetvladError(f'{folder} is in the way and no recording; choose another --out')


def keep_dds_local() -> None:
    """Set the environment of DDS.

    No message leaves this machine, no other demonstration is met, and large images are not lost.
    """
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_DOMAIN_ID'] = str(random.randint(1, 100))
    profile = Path(__file__).resolve().parents[2] / 'config' / 'fastdds.xml'
    if not profile.is_file():
        from ament_index_python.packages import get_package_share_directory

        profile = Path(get_package_share_directory('netvlad_ros')) / 'config' / 'fastdds.xml'
    os.environ.setdefault('FASTRTPS_DEFAULT_PROFILES_FILE', str(profile))
