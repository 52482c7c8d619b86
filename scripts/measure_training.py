"""Images per second in training and in mining, against a plain PyTorch loop over the same work.

    scripts/measure_training.py --config config/train.yaml --set threads=2

The plain loop decodes, augments, and runs network, loss and backward for a whole batch. For mining
it decodes and runs the network without gradient. It neither reads ahead nor uses onnxruntime. Both
loops get the same images, mined tuples and weights. They run in turns in one process; the best of
three runs counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.offline.report.report_folder import write_json
from netvlad_ros.training.config.train_config import TrainConfig
from netvlad_ros.training.data.augmentation import Augmentation
from netvlad_ros.training.data.augmented_images import StepImages
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.fitting.initialisation import initialise_network
from netvlad_ros.training.loop.distributed import Processes
from netvlad_ros.training.loop.optimizer import Optimizer
from netvlad_ros.training.loop.precision import Precision
from netvlad_ros.training.loop.shared_describer import SharedDescriber
from netvlad_ros.training.loop.step import TrainingStep
from netvlad_ros.training.loop.step_planner import StepPlanner
from netvlad_ros.training.losses.make_loss import make_loss
from netvlad_ros.training.mining.make_miner import make_miner
from netvlad_ros.training.network.network import PlaceNetwork

RUNS = 3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--config', type=Path, required=True)
    parser.add_argument('--set', dest='changes', action='append', default=[])
    parser.add_argument('--steps', type=int, default=4)
    parser.add_argument('--images', type=int, default=300, help='described for mining')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args()
    config = TrainConfig.load(options.config, options.changes)
    if config.threads:
        torch.set_num_threads(config.threads)

    processes = Processes()
    everything = Supervision.load(config.sources, config.supervision, cache=Path('runs/cache'))
    supervision, _ = everything.split(config.supervision)
    network = PlaceNetwork(config.network).to(processes.device)
    initialise_network(network, supervision.images[:: max(len(supervision) // 100, 1)], seed=0)
    loss = make_loss(config.loss, network.rank_dim, supervision.cells()[1]).to(processes.device)
    optimizer = Optimizer(config.loop, network, loss)
    preprocessing = config.network.preprocessing
    augment = Augmentation(config.augmentation, preprocessing)
    precision = Precision(config.loop.amp, processes.device)
    chunk = config.loop.chunk_on(processes.device.type)
    planner = StepPlanner(loss.separable, processes, chunk)
    training_step = TrainingStep(network, loss, optimizer, processes, precision, supervision.images)
    reader = StepImages(supervision.images, augment, config.seed)

    describe = SharedDescriber(network, processes)
    miner = make_miner(
        config.mining,
        supervision,
        lambda indices: describe([supervision.images[i] for i in indices]),
        batch=config.loop.batch,
        seed=config.seed,
    )
    batches = miner.round(0, options.steps * config.loop.batch)
    images = [supervision.images[i] for i in range(min(options.images, len(supervision)))]
    workers = config.loop.workers if config.loop.workers >= 0 else 1

    def ours() -> None:
        network.train()
        plans = [planner.plan(step, [batch]) for step, batch in enumerate(batches)]
        for plan, inputs in reader.read(plans, workers):
            training_step.update(plan, inputs)

    def plain() -> None:
        network.train()
        for batch in batches:
            optimizer.inner.zero_grad()
            drawn = [augment(read_image(supervision.images[i])) for i in batch.images]
            loss(network.rank(torch.stack(drawn).to(processes.device)), batch).backward()
            optimizer.inner.step()

    def ours_mining() -> None:
        describe.forget()
        describe(images)

    def plain_mining() -> None:
        network.eval()
        with torch.no_grad():
            for start in range(0, len(images), 16):
                part = [preprocessing(read_image(path)) for path in images[start : start + 16]]
                network.rank(torch.from_numpy(np.stack(part)).to(processes.device)).cpu()

    optimizer.set_rate(0)
    trained = sum(len(batch) for batch in batches)
    table = Table(title=f'{config.name}, {torch.get_num_threads()} threads, {processes}')
    for column in ('images/s', 'plain PyTorch', 'netvlad train', 'ratio'):
        table.add_column(column, justify='left' if column == 'images/s' else 'right')
    metrics = {}
    for name, count, theirs, mine in (
        ('training', trained, plain, ours),
        ('mining', len(images), plain_mining, ours_mining),
    ):
        before, after = fastest(theirs, mine)
        metrics[name] = {
            'plain_per_s': count / before,
            'ours_per_s': count / after,
            'ratio': before / after,
        }
        table.add_row(
            name, f'{count / before:.1f}', f'{count / after:.1f}', f'{before / after:.2f}'
        )
    Console().print(table)
    if options.json:
        write_json(metrics, options.json)


def fastest(*works: Callable[[], None]) -> list[float]:
    """Shortest time of each [s]; they run in turns, so that other load affects all of them."""
    times = [[0.0] * RUNS for _ in works]
    for run in range(RUNS):
        for index, work in enumerate(works):
            start = time.perf_counter()
            work()
            times[index][run] = time.perf_counter() - start
    return [min(entry) for entry in times]


if __name__ == '__main__':
    main()
