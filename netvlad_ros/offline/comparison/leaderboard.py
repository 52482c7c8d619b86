"""Leaderboard: recall and cost of methods on benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.evaluation.benchmark_ranking import Metrics
from netvlad_ros.offline.metrics.bootstrap import Interval, paired_difference

OURS = 'netvlad'


@dataclass(frozen=True)
class Leaderboard:
    """Metrics of methods on benchmarks.

    Attributes:
        benchmarks: names, as they were asked for.
        methods: names, as they were asked for.
        results: metrics of compare_method, each with its `benchmark`. A method that failed on a
            benchmark has none.
    """

    benchmarks: Sequence[str]
    methods: Sequence[str]
    results: Sequence[Metrics]

    def of(self, benchmark: str, method: str) -> Metrics | None:
        """Metrics of a method on a benchmark."""
        asked = (benchmark, method)
        each = (metrics for metrics in self.results if _name(metrics) == asked)
        return next(each, None)

    def ahead(self, benchmark: str, method: str) -> Interval | None:
        """By how much recall@1 exceeds that of our method; None if it does not."""
        return self._ahead.get((benchmark, method))

    @cached_property
    def _ahead(self) -> dict[tuple[str, str], Interval]:
        found = {}
        for metrics in self.results:
            own = self.of(metrics['benchmark'], OURS)
            if own is not None:
                difference = paired_difference(_found(metrics), _found(own))
                if difference is not None and difference.estimate > 0:
                    found[_name(metrics)] = difference
        return found

    def mark(self, benchmark: str, method: str) -> str:
        """`*` where a method beats ours, `**` where beyond the chance of the queries, else ''."""
        difference = self.ahead(benchmark, method)
        if difference is None:
            return ''
        return '**' if difference.low > 0 else '*'

    def mean_recall(self, method: str) -> float | None:
        """Mean recall@1 over the benchmarks; None where the method has none on one of them."""
        shares = [recall_at_1(self.of(benchmark, method)) for benchmark in self.benchmarks]
        known = [share for share in shares if share is not None]
        return sum(known) / len(known) if len(known) == len(shares) else None

    def paper(self, method: str) -> str:
        """Authors, venue and year."""
        return str(next(each['paper'] for each in self.results if each['method'] == method))

    def costs(self, method: str) -> dict[str, float | None]:
        """Costs by name: means over the benchmarks, of memory the maximum."""
        own = [metrics for metrics in self.results if metrics['method'] == method]
        seconds = [metrics['seconds'] for metrics in own]
        peaks = [metrics['peak_mb'] for metrics in own if metrics['peak_mb'] is not None]
        return {
            'ms/image': 1e3 * _mean([each['describe_per_image'] for each in seconds]),
            'ms/query': 1e3 * _mean([each['search_per_query'] for each in seconds]),
            'fit s': _mean([each['fit'] for each in seconds]),
            'bytes/place': _mean([metrics['bytes_per_place'] for metrics in own]),
            'peak MB': max(peaks, default=None),
        }

    def as_json(self) -> list[dict[str, Any]]:
        """Which methods beat ours where: by how much of recall@1, and its interval of 95 %."""
        every = ((name, method) for name in self.benchmarks for method in self.methods)
        return [
            {
                'benchmark': benchmark,
                'method': method,
                'by': found.estimate,
                'interval': [found.low, found.high],
            }
            for benchmark, method in every
            if (found := self.ahead(benchmark, method)) is not None
        ]

    def sentences(self) -> list[str]:
        """Which methods beat ours where, with intervals over the queries."""
        lines = []
        for benchmark in self.benchmarks:
            if self.of(benchmark, OURS) is None:
                continue
            where = f' on {benchmark}' if len(self.benchmarks) > 1 else ''
            ahead = {method: self.ahead(benchmark, method) for method in self.methods}
            for method, difference in ahead.items():
                if difference is not None:
                    by, low, high = (
                        100 * end for end in (difference.estimate, difference.low, difference.high)
                    )
                    chance = '' if low > 0 else ', which may be chance'
                    lines.append(
                        f'{method} beats {OURS} at R@1{where} by {by:.1f} [{low:.1f}, {high:.1f}]'
                        + chance
                    )
            if not any(ahead.values()):
                lines.append(f'no method beats {OURS} at R@1{where}')
        return lines


def recall_at_1(metrics: Metrics | None) -> float | None:
    """Of metrics; None where there are none, or no query has an answer."""
    return None if metrics is None else metrics['recall']['1']


def _name(metrics: Metrics) -> tuple[str, str]:
    return metrics['benchmark'], metrics['method']


def _found(metrics: Metrics) -> NDArray[np.float64]:
    return np.array(metrics['found_at_1'], dtype=np.float64)  # None is nan


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
