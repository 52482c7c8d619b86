"""Every benchmark that `netvlad eval --benchmark` knows, by name."""

from __future__ import annotations

from netvlad_ros.offline.benchmarks.benchmark import BenchmarkInfo
from netvlad_ros.offline.benchmarks.robot_sets import OWN_DRIVES, ROBOT_SETS
from netvlad_ros.offline.benchmarks.street_sets import STREET_SETS
from netvlad_ros.offline.retrieval_benchmarks.registry import RETRIEVAL

BENCHMARKS: dict[str, BenchmarkInfo] = {
    **{info.name: info for info in (*STREET_SETS, *ROBOT_SETS)},
    **RETRIEVAL,
    **{info.name: info for info in OWN_DRIVES},
}
