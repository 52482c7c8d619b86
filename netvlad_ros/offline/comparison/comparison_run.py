"""ComparisonRun: every method on every benchmark; finished results are reused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark, BenchmarkInfo
from netvlad_ros.offline.benchmarks.registry import benchmark_info
from netvlad_ros.offline.comparison.run_settings import Settings, images_of, settings_of
from netvlad_ros.offline.comparison.saved_result import SavingError, find_finished, save_finished
from netvlad_ros.offline.comparison.separate_process import compare_apart
from netvlad_ros.offline.evaluation.benchmark_ranking import Metrics
from netvlad_ros.offline.methods.method import ImageError, MethodContext, Ranking
from netvlad_ros.offline.methods.registry import METHODS

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


Bar = Callable[[str], 'AbstractContextManager[Progress]']


@dataclass(frozen=True)
class BenchmarkFolder:
    """A benchmark in a folder.

    Attributes:
        name: unique in the comparison.
        info: what is known of the benchmark.
        root: the folder.
        benchmark: the images and what is right.
    """

    name: str
    info: BenchmarkInfo
    root: Path
    benchmark: Benchmark

    @property
    def answerable(self) -> int:
        """Queries that have an answer."""
        return sum(len(rows) > 0 for rows in self.benchmark.positives)


@dataclass(frozen=True)
class ComparisonRun:
    """The methods of a comparison, and how they run.

    Attributes:
        methods: names of chosen_methods.
        context: of the methods.
        out: folder that keeps finished results; None = keep nothing.
        say: prints a sentence.
        bar: opens a progress bar with a title.
    """

    methods: Sequence[str]
    context: MethodContext
    out: Path | None
    say: Callable[[str], None]
    bar: Bar

    def evaluate(self, benchmark_folder: BenchmarkFolder) -> Iterator[Metrics]:
        """Yield the metrics of every method that works, as soon as it is finished.

        Raises:
            NetvladError: an image is unusable or a result cannot be kept, which holds for all
                methods; or the only method fails.
        """
        images: Settings = {}
        if self.out is not None:
            with self.bar('checking images') as progress:
                images = images_of(
                    benchmark_folder.benchmark,
                    benchmark_folder.root,
                    self.context.training,
                    progress,
                )
        for name in self.methods:
            try:
                yield self._evaluated(name, benchmark_folder, images)
            except (ImageError, SavingError):
                raise
            except NetvladError as error:
                if len(self.methods) == 1:
                    raise
                self.say(f'{name} on {benchmark_folder.name}: {error}')

    def _evaluated(self, name: str, benchmark_folder: BenchmarkFolder, images: Settings) -> Metrics:
        if self.out is None:
            metrics, _ = self._rank(name, benchmark_folder)
            return metrics
        settings = settings_of(name, self.context, images)
        folder = self.out / benchmark_folder.name / method_label(name)
        found, why = find_finished(folder, settings)
        if found is not None:
            self.say(f'{name} on {benchmark_folder.name}: taken from {folder}')
            return found
        if why:
            self.say(f'{folder}: {why}; computed anew')
        metrics, ranking = self._rank(name, benchmark_folder)
        save_finished(
            folder, benchmark_folder.root, benchmark_folder.benchmark, ranking, metrics, settings
        )
        return metrics

    def _rank(self, name: str, benchmark_folder: BenchmarkFolder) -> tuple[Metrics, Ranking]:
        with self.bar(f'{benchmark_folder.name}: {name}') as progress:
            metrics, ranking = compare_apart(
                name, benchmark_folder.benchmark, self.context, progress
            )
        return {
            **metrics,
            'benchmark': benchmark_folder.name,
            'published_recall_at_1': benchmark_folder.info.published_recall_at_1,
            'published_map': benchmark_folder.info.published_map,
            'database': len(benchmark_folder.benchmark.database),
            'missing': list(benchmark_folder.benchmark.missing),
            'skipped': len(benchmark_folder.benchmark.missing),
        }, ranking


def open_benchmark_folders(words: Sequence[str]) -> list[BenchmarkFolder]:
    """Open benchmarks by pairs of name and folder; the folder distinguishes those of one name.

    Raises:
        NetvladError: the words are no pairs, or a benchmark is unknown, missing, named twice or
            without images.
    """
    if not words or len(words) % 2:
        raise NetvladError(
            'benchmarks are named in pairs, NAME FOLDER [NAME FOLDER ...]; '
            + (f"'{words[-1]}' is left over" if words else 'there is none')
        )
    pairs = [
        (benchmark_info(name), Path(root))
        for name, root in zip(words[::2], words[1::2], strict=True)
    ]
    asked = [info.name for info, _ in pairs]
    benchmark_folders: list[BenchmarkFolder] = []
    for info, root in pairs:
        often = asked.count(info.name) > 1
        name = f'{info.name}-{root.resolve().name}' if often else info.name
        if name in [benchmark_folder.name for benchmark_folder in benchmark_folders]:
            raise NetvladError(f'{name} is named twice; rename one of the folders, or leave it out')
        benchmark_folders.append(BenchmarkFolder(name, info, root, info.load(root)))
    return benchmark_folders


def method_label(name: str) -> str:
    """Name of a method in the table and in folders: of a bundle, its file name."""
    return name if name in METHODS else Path(name).name
