"""Every benchmark that `netvlad eval --benchmark` knows, by name."""

from __future__ import annotations

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import BenchmarkInfo
from netvlad_ros.offline.benchmarks.retrieval.registry import RETRIEVAL
from netvlad_ros.offline.benchmarks.robot_sets import OWN_DRIVES, ROBOT_SETS
from netvlad_ros.offline.benchmarks.street_sets import STREET_SETS

BENCHMARKS: dict[str, BenchmarkInfo] = {
    **{info.name: info for info in (*STREET_SETS, *ROBOT_SETS)},
    **RETRIEVAL,
    **{info.name: info for info in OWN_DRIVES},
}


def benchmark_info(name: str) -> BenchmarkInfo:
    """The benchmark of a name.

    Raises:
        NetvladError: the name is unknown; the message lists the known ones.
    """
    if name not in BENCHMARKS:
        raise NetvladError(f"'{name}' is no benchmark; known are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]
