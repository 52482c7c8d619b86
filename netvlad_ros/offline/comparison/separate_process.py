"""One method on one benchmark, in its own process."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.evaluation.benchmark_ranking import Metrics, evaluate_method, forget_peak
from netvlad_ros.offline.methods.method import MethodContext, Ranking
from netvlad_ros.offline.methods.registry import open_method

if TYPE_CHECKING:
    from netvlad_ros.offline.progress import Progress


_SOURCES = Path(__file__).resolve().parents[3]  # where Python finds this package
_BLAS = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')  # read as they are loaded


def compare_apart(
    name: str, benchmark: Benchmark, context: MethodContext, progress: Progress
) -> tuple[Metrics, Ranking]:
    """Run compare_method in a process of its own, whose libraries use context.threads.

    The process ends with this one, and at Ctrl-C.

    Raises:
        NetvladError: as compare_method, or the process dies.
    """
    ours, theirs = Pipe()
    threads = str(context.thread_count)
    process = subprocess.Popen(
        [sys.executable, '-m', __name__, str(theirs.fileno())],
        # Python looks for modules here first: never where the user's data lies.
        cwd=_SOURCES,
        env={**os.environ, **dict.fromkeys(_BLAS, threads)},
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # belongs to the table
        start_new_session=True,  # Ctrl-C is for this process, which ends that one
    )
    theirs.close()
    try:
        ours.send((Path.cwd(), name, benchmark, context))
        while True:
            message = ours.recv()
            if isinstance(message, NetvladError):
                raise message
            if isinstance(message, Ranking):
                return ours.recv(), message
            progress(*message)
    except (EOFError, ConnectionError):
        raise NetvladError(f'its process {_end(process.wait())}') from None
    finally:
        process.kill()
        process.wait()
        ours.close()


def _end(code: int) -> str:
    if code == -signal.SIGKILL:
        return 'was killed, as the system does where memory runs out'
    if code < 0:
        return f'crashed ({signal.Signals(-code).name})'
    return f'ended early, with exit code {code}'


def _work(connection: Connection) -> None:
    try:
        folder, name, benchmark, context = connection.recv()
    except EOFError:
        return  # interrupted before it was asked for anything
    os.chdir(folder)
    cv2.setNumThreads(context.thread_count)
    try:
        metrics, ranking = compare_method(
            name, benchmark, context, lambda done, total: connection.send((done, total))
        )
    except NetvladError as error:
        connection.send(error)
    except MemoryError:
        connection.send(NetvladError('there is not enough memory for it'))
    except BrokenPipeError:
        return  # nobody waits for this any more
    except Exception as error:
        if os.environ.get('NETVLAD_TRACEBACK'):
            raise
        connection.send(NetvladError(f'unforeseen {type(error).__name__}: {error} (a bug)'))
    else:
        connection.send(ranking)
        connection.send(metrics)


def compare_method(
    name: str, benchmark: Benchmark, context: MethodContext, progress: Progress
) -> tuple[Metrics, Ranking]:
    """Rank a benchmark by a method of that name: see evaluate_method."""
    gc.collect()
    forget_peak()
    return evaluate_method(open_method(name, context), benchmark, context.seed, progress)


if __name__ == '__main__':
    _work(Connection(int(sys.argv[1])))
