"""A comparison as it runs: each method on each benchmark, what is finished taken as it is."""

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
    """A benchmark in a folder, under a name that no other of the comparison has."""

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
    """methods: names of chosen_methods. out: keeps what is finished. say: sentences for people."""

    methods: Sequence[str]
    context: MethodContext
    out: Path | None
    say: Callable[[str], None]
    bar: Bar

    def judge(self, subject: BenchmarkFolder) -> Iterator[Metrics]:
        """Yield the metrics of every method that works, as soon as it is finished.

        Raises NetvladError if an image is unusable or a result cannot be kept, for that holds for
        all methods, or the only method fails.
        """
        images: Settings = {}
        if self.out is not None:
            with self.bar('checking images') as progress:
                images = images_of(subject.benchmark, subject.root, self.context.training, progress)
        for name in self.methods:
            try:
                yield self._judged(name, subject, images)
            except (ImageError, SavingError):
                raise
            except NetvladError as error:
                if len(self.methods) == 1:
                    raise
                self.say(f'{name} on {subject.name}: {error}')

    def _judged(self, name: str, subject: BenchmarkFolder, images: Settings) -> Metrics:
        if self.out is None:
            metrics, _ = self._rank(name, subject)
            return metrics
        settings = settings_of(name, self.context, images)
        folder = self.out / subject.name / method_label(name)
        found, why = find_finished(folder, settings)
        if found is not None:
            self.say(f'{name} on {subject.name}: taken from {folder}')
            return found
        if why:
            self.say(f'{folder}: {why}; computed anew')
        metrics, ranking = self._rank(name, subject)
        save_finished(folder, subject.root, subject.benchmark, ranking, metrics, settings)
        return metrics

    def _rank(self, name: str, subject: BenchmarkFolder) -> tuple[Metrics, Ranking]:
        with self.bar(f'{subject.name}: {name}') as progress:
            metrics, ranking = compare_apart(name, subject.benchmark, self.context, progress)
        return {
            **metrics,
            'benchmark': subject.name,
            'published_recall_at_1': subject.info.published_recall_at_1,
            'published_map': subject.info.published_map,
            'database': len(subject.benchmark.database),
            'missing': list(subject.benchmark.missing),
            'skipped': len(subject.benchmark.missing),
        }, ranking


def open_subjects(words: Sequence[str]) -> list[BenchmarkFolder]:
    """Benchmarks by pairs of name and folder; those of one name are told apart by their folders.

    Raises NetvladError if the words are no pairs, or a benchmark is unknown, is not there, is named
    twice or has no image.
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
    subjects: list[BenchmarkFolder] = []
    for info, root in pairs:
        often = asked.count(info.name) > 1
        name = f'{info.name}-{root.resolve().name}' if often else info.name
        if name in [subject.name for subject in subjects]:
            raise NetvladError(f'{name} is named twice; rename one of the folders, or leave it out')
        subjects.append(BenchmarkFolder(name, info, root, info.load(root)))
    return subjects


def method_label(name: str) -> str:
    """What the table and folders call a method: a bundle by its file."""
    return name if name in METHODS else Path(name).name
