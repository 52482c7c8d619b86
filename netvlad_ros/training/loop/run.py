"""run_training: initialise, mine, step, validate, keep the best, export."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.train_config import TrainConfig
from netvlad_ros.training.data.augmentation import Augmentation
from netvlad_ros.training.data.augmented_images import StepImages
from netvlad_ros.training.data.batch import TrainingBatch
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.fitting.initialisation import initialise_network
from netvlad_ros.training.loop.checkpoint import TrainableState
from netvlad_ros.training.loop.distillation import Distillation
from netvlad_ros.training.loop.distributed import Processes
from netvlad_ros.training.loop.finalize import write_outcome
from netvlad_ros.training.loop.optimizer import Optimizer
from netvlad_ros.training.loop.precision import Precision
from netvlad_ros.training.loop.progress_display import ProgressDisplay
from netvlad_ros.training.loop.run_folder import latest_run, new_run
from netvlad_ros.training.loop.run_state import RunState
from netvlad_ros.training.loop.scalars import Scalars
from netvlad_ros.training.loop.shared_describer import SharedDescriber
from netvlad_ros.training.loop.step import TrainingStep
from netvlad_ros.training.loop.step_planner import StepPlanner
from netvlad_ros.training.loop.validation import Validation
from netvlad_ros.training.losses.make_loss import make_loss
from netvlad_ros.training.mining.make_miner import make_miner
from netvlad_ros.training.network.network import PlaceNetwork
from netvlad_ros.training.network.network_file import load_network, save_network

__all__ = ['TrainConfig', 'run_training']


def run_training(config: TrainConfig, *, out: Path = Path('runs'), resume: bool = False) -> Path:
    """Trains and exports a place descriptor; returns the path of the bundle (.onnx).

    Every run makes a folder in `out`. It holds config.yaml, environment.json, log.csv, the last
    checkpoint and the best network, and at the end network.safetensors and the bundle. After Ctrl-C
    or a killed process it holds the checkpoint of the last finished round; `resume` goes on from
    there to the same model.

    Under torchrun every process calls this with the same settings; the first one writes.

    Args:
        config: all settings that decide the result.
        out: folder for the folders of runs.
        resume: go on with the latest run in `out`, which was started with the same settings.

    Raises:
        NetvladError: settings, weights or images are unusable; a loss is not finite (the batch is
            named); the disk is full; the export does not match; the user interrupted the run.
    """
    _check(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    processes = Processes()
    try:
        return _Run(config, processes, out, resume).run()
    except (NetvladError, RuntimeError) as error:
        if not processes.may_complain():
            sys.exit(1)
        if processes.count > 1 and 'onnection' in str(error):
            raise NetvladError(
                'another process of this run was lost; the last checkpoint is kept: go on with '
                '--resume'
            ) from error
        raise
    finally:
        processes.leave()


def _check(config: TrainConfig) -> None:
    if not config.sources:
        raise NetvladError('training needs images: give --data, or sources in its settings')
    if not config.network.weights:
        raise NetvladError(
            'training needs --weights (or network.weights in its settings): a .safetensors or .pth '
            "file of the backbone, 'torchvision' to download them, or 'none' to start at random"
        )
    if config.loss.needs_tuples and config.mining.mode == 'groups':
        raise NetvladError(
            f'loss.kind {config.loss.kind} ranks tuples, mining.mode groups draws none: choose '
            'another mode, or the loss contrastive, multi_similarity or classification'
        )


class _Run:
    """One run, from its settings to its folder."""

    def __init__(self, config: TrainConfig, processes: Processes, out: Path, resume: bool) -> None:
        self.config, self.processes, self.loop = config, processes, config.loop
        self.display = ProgressDisplay(quiet=not processes.first)
        precision = Precision(self.loop.amp, processes.device)
        self.supervision, self.held_out = self._read_sources(out)

        torch.manual_seed(config.seed)
        self.network = PlaceNetwork(config.network).to(processes.device)
        loss = make_loss(config.loss, self.network.rank_dim, self.supervision.cells()[1])
        loss = loss.to(processes.device)
        self.optimizer = Optimizer(self.loop, self.network, loss)
        self.describer = SharedDescriber(self.network, processes)
        self.miner = make_miner(
            config.mining,
            self.supervision,
            lambda indices: self._describe(self.supervision, indices),
            batch=self.loop.batch,
            seed=config.seed,
        )
        self.validation = None
        if len(self.held_out) and self.loop.validate_every:
            self.validation = Validation(self.held_out, config.mining.cache_mb)
        chunk = self.loop.chunk_on(processes.device.type)
        images = self.supervision.images
        augment = Augmentation(config.augmentation, config.network.preprocessing)
        self.planner = StepPlanner(loss.separable, processes, chunk)
        self.images = StepImages(images, augment, config.seed, self.supervision.domains)
        self.training_step = TrainingStep(
            self.network, loss, self.optimizer, processes, precision, images
        )
        self.state = RunState(
            TrainableState(self.network, loss, self.optimizer.inner), self.miner, precision
        )
        self.out, self.resume, self.folder = out, resume, out

    def run(self) -> Path:
        """Runs all rounds that are left, then writes the bundle."""
        state = self.state
        try:
            if self.resume:
                self.folder = latest_run(self.config, self.out)
                state.load(self.folder)
                self.display.say(f'{self.folder}: goes on at step {state.step}')
            else:
                self._start()
            self._hold_local_features()
            self._train()
            path = self.folder / f'{self.config.name}.onnx'
            if self.processes.first:
                state.take_best(self.folder)
                write_outcome(
                    self.network,
                    self.config,
                    self.supervision,
                    self.held_out,
                    state,
                    path,
                    self.display,
                )
            return path
        except KeyboardInterrupt as error:
            if state.saved is None:
                raise NetvladError('interrupted before the first step: start again') from error
            raise NetvladError(
                f'interrupted after step {state.step}; the checkpoint of step {state.saved} is '
                f'kept in {self.folder}: go on with --resume'
            ) from error

    def _train(self) -> None:
        state, loop = self.state, self.loop
        scalars = Scalars(self.folder, state.step) if self.processes.first else None
        try:
            with self.display.steps(state.step, loop.steps):
                while state.step < loop.steps and not state.stops(loop.patience):
                    self._round(scalars)
        finally:
            if scalars is not None:
                scalars.close()
        if state.step < loop.steps:
            self.display.say(
                f'stopped at step {state.step}: {state.stale} validations without a better recall@5'
            )

    def _read_sources(self, out: Path) -> tuple[Supervision, Supervision]:
        config = self.config
        size = config.network.preprocessing
        with self.processes.first_before_others():  # the first extracts the images of bags
            supervision = Supervision.load(
                config.sources,
                config.supervision,
                cache=out / 'cache',
                max_area_px=2 * size.height * size.width,
            )
        training, held_out = supervision.split(config.supervision)
        for name, part in (('training', training), ('validation', held_out)):
            for sentence in part.summary() if len(part) else ():
                self.display.say(f'{name}: {sentence}')
        return training, held_out

    def _start(self) -> None:
        """Makes the folder and the initial weights."""
        new = str(new_run(self.config, self.out)) if self.processes.first else ''
        self.folder = Path(self.processes.same_text(new))
        if self.processes.first:
            self.display.say(f'run {self.folder}, {self.processes}')
            fitted = self.supervision.fitted
            with self.display.working('initialising') as progress:
                summary = initialise_network(
                    self.network,
                    fitted.images,
                    seed=self.config.seed,
                    domains=fitted.domains,
                    progress=progress,
                )
            self.display.say(summary)
            save_network(self.folder / 'initial', self.network, {'step': 0})
        self.processes.copy_from_first(self.network)
        self._validate()
        self._save()

    def _hold_local_features(self) -> None:
        """From the file, so that a resumed run holds them near the very same weights."""
        weight = self.config.loss.distillation
        if weight:
            initial, _ = load_network(self.folder / 'initial')
            device = self.processes.device
            self.training_step.distillation = Distillation(initial, weight, device)

    def _round(self, scalars: Scalars | None) -> None:
        """One round: mines, steps, validates and saves, in this order."""
        state, loop = self.state, self.loop
        count = min(loop.round_steps, loop.steps - state.step)
        mined = self.miner.round(state.round, count * loop.accumulate * loop.batch)
        steps = [mined[i : i + loop.accumulate] for i in range(0, len(mined), loop.accumulate)]
        if not steps:
            raise NetvladError('mining found nothing to train on: enlarge mining.pool')
        self.network.train()
        losses, started = [], time.monotonic()
        plans = [self.planner.plan(state.step + i, batches) for i, batches in enumerate(steps)]
        for plan, inputs in self.images.read(plans, self._workers()):
            losses.append(self.training_step.update(plan, inputs))
            state.step += 1
            rate = _images(steps[: len(losses)]) / (time.monotonic() - started)
            self.display.step(state.step, loop.steps, losses[-1], rate)
            if scalars is not None:
                scalars.step(state.step, loss=losses[-1], lr=self.optimizer.rate, images_per_s=rate)
        self.describer.forget()
        state.round += 1
        numbers = {
            'loss': float(np.mean(losses)),
            'lr': self.optimizer.rate,
            'images_per_s': _images(steps) / (time.monotonic() - started),
        }
        if state.round % max(loop.validate_every, 1) == 0 or state.step >= loop.steps:
            numbers |= self._validate()
        self._save()
        if scalars is not None:
            scalars.round(state.step, seconds=time.monotonic() - started, **numbers)

    def _validate(self) -> dict[str, float]:
        """Recall on the held-out images; keeps the best network so far."""
        if self.validation is None:
            return {}
        with self.display.working('validating'):
            recall = self.validation(lambda indices: self._describe(self.held_out, indices))
        better = self.state.record(recall)
        self.display.validated(self.state.step, str(recall), ', the best so far' if better else '')
        if better and self.processes.first:
            self.state.save_best(self.folder, self.network)
        return {
            'recall_at_1': recall.at_1,
            'recall_at_5': recall.at_5,
            'recall_at_10': recall.at_10,
        }

    def _save(self) -> None:
        if self.processes.first:
            self.state.save(self.folder)

    def _describe(self, supervision: Supervision, indices: np.ndarray) -> np.ndarray:
        return self.describer([supervision.images[i] for i in indices])

    def _workers(self) -> int:
        if self.loop.workers >= 0:
            return self.loop.workers
        return 1 if self.processes.device.type == 'cpu' else 8


def _images(steps: Sequence[Sequence[TrainingBatch]]) -> int:
    return sum(len(batch) for batches in steps for batch in batches)
