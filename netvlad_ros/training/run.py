"""The training run, top to bottom: initialise, mine, rank, whiten, calibrate, export."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from netvlad_ros import __version__
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.image import read_image
from netvlad_ros.training.augmentation import Augmentation
from netvlad_ros.training.calibration import BestMatches, fit_calibration
from netvlad_ros.training.checkpoint import load_checkpoint, save_checkpoint
from netvlad_ros.training.clips import ClipSet
from netvlad_ros.training.config import TrainConfig
from netvlad_ros.training.export import export_bundle
from netvlad_ros.training.images import batches, pooled_descriptors
from netvlad_ros.training.initialisation import initialise, sample_local_descriptors
from netvlad_ros.training.loss import triplet_ranking_loss
from netvlad_ros.training.mining import HardNegativeMiner, TrainingTuple
from netvlad_ros.training.network import PlaceNetwork
from netvlad_ros.training.run_folder import latest_run, log_round, new_run

__all__ = ['TrainConfig', 'run_training']

LOCAL_PER_IMAGE = 100  # local descriptors that k-means takes from one image, as in the paper
PARITY_IMAGES = 8  # real images that the export is compared on


def run_training(config: TrainConfig) -> Path:
    """Trains and exports a place descriptor; returns the path of the bundle (.onnx).

    Every run leaves a folder in config.out: config.yaml, log.csv, the last checkpoint
    (safetensors and JSON) and, at the end, the bundle. Ctrl-C keeps the checkpoint of the last
    finished round; the same settings with `resume` go on from there to the same model.

    Raises:
        NetvladError: unusable settings, weights or images; a loss that is not finite (the batch is
            named); an export that does not match; interrupted by the user.
    """
    for name in ('data', 'weights'):
        if not getattr(config, name):
            raise NetvladError(f'training needs --{name} (or {name}: in its settings)')
    console = Console(soft_wrap=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')

    # Images. The held-out floors see neither training, nor k-means, nor whitening.
    everything = ClipSet.load(Path(config.data))
    clips, held_out = everything.split(config.held_out_floors)
    preprocessing = config.preprocessing
    folder = latest_run(config) if config.resume else new_run(config)
    console.print(f'run {folder}: {len(clips)} training frames, {len(held_out)} held out, {device}')

    # Network, at its starting point or where the last run stopped.
    network = PlaceNetwork(config.backbone, config.clusters, config.dim).to(device).eval()
    groups = [
        {'params': list(network.backbone.parameters()), 'lr': config.lr_backbone},
        {'params': list(network.pooling.parameters()), 'lr': config.lr_pooling},
    ]
    optimizer = torch.optim.Adam(groups)

    def describe(indices: np.ndarray) -> np.ndarray:
        return pooled_descriptors(network, [clips.images[i] for i in indices], preprocessing)

    miner = HardNegativeMiner(
        clips,
        describe,
        gap_s=config.positive_gap_s,
        negatives=config.negatives,
        pool=config.pool,
        choice=config.choice,
        seed=config.seed,
    )
    if miner.without_positive:
        console.print(f'{miner.without_positive} frames have no positive: never a query')
    if config.resume:
        initial, progress = load_checkpoint(folder, network, optimizer)
        step = int(progress['step'])
        miner.remembered = {int(q): tuple(n) for q, n in progress['remembered'].items()}
        console.print(f'resumed at step {step}')
    else:
        network.backbone.load(Path(config.weights))
        alpha = _initialise(network, clips, config, device)
        console.print(f'k-means: {config.clusters} centroids, alpha {alpha:.1f}')
        initial = {k: v.cpu().clone() for k, v in network.state_dict().items()}
        step = 0
        save_checkpoint(folder, network, initial, optimizer, {'step': 0, 'remembered': {}})

    # Training, a mined round at a time.
    augment = Augmentation(preprocessing, config.augmentation)
    started, first = time.monotonic(), step
    try:
        while step < config.steps:
            count = min(config.round_steps, config.steps - step)
            tuples = miner.round(step // config.round_steps, count * config.batch)
            network.train()
            losses = []
            for start in range(0, len(tuples), config.batch):
                # Seeded by the step, so that a resumed run draws the same augmentation.
                torch.manual_seed(config.seed * 1_000_003 + step)
                batch = tuples[start : start + config.batch]
                losses.append(_update(network, optimizer, clips, batch, augment, config))
                step += 1
                pace = (time.monotonic() - started) / (step - first)
                console.print(
                    f'step {step}/{config.steps}  loss {losses[-1]:.4f}  {pace:.2f} s/step  '
                    f'{pace * (config.steps - step) / 60:.1f} min left'
                )
            log_round(folder, step, float(np.mean(losses)), time.monotonic() - started)
            remembered = {str(q): n for q, n in miner.remembered.items()}
            save_checkpoint(
                folder, network, initial, optimizer, {'step': step, 'remembered': remembered}
            )

        # Part of the way from the initial weights may keep more of ImageNet (Wortsman 2022).
        _keep_share(network, initial, config.keep)
        return _finish(network.cpu(), folder, clips, held_out, config, step, console)
    except KeyboardInterrupt as error:
        raise NetvladError(
            f'interrupted at step {step}; the last round is kept in {folder}: go on with --resume'
        ) from error


def _initialise(
    network: PlaceNetwork, clips: ClipSet, config: TrainConfig, device: torch.device
) -> float:
    wanted = -(-config.local_descriptors // LOCAL_PER_IMAGE)
    rng = np.random.default_rng(config.seed)
    chosen = np.sort(rng.permutation(len(clips))[:wanted])
    images = batches([clips.images[i] for i in chosen], config.preprocessing)
    normalised = (network.normalise(batch.to(device)) for batch in images)
    sample = sample_local_descriptors(network.backbone, normalised, LOCAL_PER_IMAGE, config.seed)
    return initialise(network.pooling, sample, config.seed)


def _update(
    network: PlaceNetwork,
    optimizer: torch.optim.Optimizer,
    clips: ClipSet,
    tuples: list[TrainingTuple],
    augment: Augmentation,
    config: TrainConfig,
) -> float:
    """One step of the optimizer on a batch of tuples; returns the loss."""
    device = next(network.parameters()).device
    losses = []
    optimizer.zero_grad()
    for entry in tuples:  # one tuple at a time: a batch of activations would not fit small machines
        frames = (entry.query, entry.positive, *entry.negatives)
        images = [augment(config.preprocessing(read_image(clips.images[i]))) for i in frames]
        pooled = network.pool(torch.stack(images).to(device))  # (2 + J, K * D)
        loss = triplet_ranking_loss(pooled[:1], pooled[1:2], pooled[None, 2:], config.margin)
        if not torch.isfinite(loss):
            raise NetvladError(
                f'the loss is {loss.item()} at query {clips.images[entry.query]}: training '
                'stopped, the last checkpoint is kept; lower the learning rates'
            )
        (loss / len(tuples)).backward()
        losses.append(loss.item())
    optimizer.step()
    return float(np.mean(losses))


@torch.no_grad()
def _keep_share(network: PlaceNetwork, initial: dict[str, torch.Tensor], share: float) -> None:
    for name, parameter in network.named_parameters():
        if not name.startswith('whitening.'):
            parameter.lerp_(initial[name].to(parameter.device), 1.0 - share)


def _finish(
    network: PlaceNetwork,
    folder: Path,
    clips: ClipSet,
    held_out: ClipSet,
    config: TrainConfig,
    steps: int,
    console: Console,
) -> Path:
    """Whitening, calibration, export."""
    console.print('whitening on the training frames')
    images, preprocessing = clips.images, config.preprocessing
    network.whitening.fit(pooled_descriptors(network, images, preprocessing), config.shrinkage)
    pooled = torch.from_numpy(pooled_descriptors(network, held_out.images, preprocessing))
    with torch.no_grad():
        descriptors = network.whitening(pooled).numpy()
    matches = BestMatches.find(descriptors, held_out, config.positive_gap_s)
    calibration = fit_calibration(matches)
    for name, values in vars(matches).items():
        low, middle, high = np.percentile(values, (5, 50, 95))
        console.print(f'held-out {name} matches: 5 % {low:.3f}  50 % {middle:.3f}  95 % {high:.3f}')
    metadata: dict[str, Any] = {
        'name': config.name,
        'backbone': f'{config.backbone}, stride {network.backbone.stride}',
        'pooling': f'netvlad, {config.clusters} clusters',
        'whitening': f'pca, {config.dim} dimensions, shrinkage {config.shrinkage:g}',
        'licence': 'Apache-2.0',
        'training': {
            'data': [config.data_name or Path(config.data).name],
            'data_licence': config.data_licence,
            'frames': len(clips),
            'seed': config.seed,
            'steps': steps,
            'keep': config.keep,
            'version': __version__,
        },
        'calibration': {'midpoint': calibration.midpoint, 'slope': calibration.slope},
    }
    real = [read_image(path) for path in held_out.images[:PARITY_IMAGES]]
    path = folder / f'{config.name}.onnx'
    model_id = export_bundle(network, real, preprocessing, metadata, path)
    console.print(f'exported {path}, model {model_id[:12]}, calibration {metadata["calibration"]}')
    return path
