"""The end of a run: whitening, calibration, the files of the network and its bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from netvlad_ros import __version__
from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.training.config.train_config import TrainConfig
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.fitting.similarity_calibration import BestMatches, fit_calibration
from netvlad_ros.training.fitting.whitening_fit import fit_whitening
from netvlad_ros.training.loop.progress_display import ProgressDisplay
from netvlad_ros.training.loop.run_state import RunState
from netvlad_ros.training.network.describer import pooled_descriptors
from netvlad_ros.training.network.export import export_bundle
from netvlad_ros.training.network.network import PlaceNetwork
from netvlad_ros.training.network.network_file import load_network, save_network

PARITY_IMAGES = 8  # real images that the export is compared on
WHITENED_AT_ONCE = 512


def write_outcome(
    network: PlaceNetwork,
    config: TrainConfig,
    training: Supervision,
    held_out: Supervision,
    state: RunState,
    path: Path,
    display: ProgressDisplay,
) -> None:
    """Whitens and calibrates the best network; writes it and its bundle to the folder of the run.

    Args:
        network: with its best weights; is changed.
        config: of the run.
        training: its images fit the whitening.
        held_out: its images fit the calibration; may be empty.
        state: of the run at its end.
        path: of the bundle (.onnx).
        display: shows the progress.

    Raises:
        NetvladError: too few images for the whitening, or the export does not match.
    """
    folder = path.parent
    # A part of the learned change may keep more of ImageNet (Wortsman et al. 2022).
    if config.loop.keep < 1.0:
        initial, _ = load_network(folder / 'initial')
        keep_share(network, initial, config.loop.keep)
    network.eval()
    fitted, pairs = training.fitted, None
    if config.network.whitening == 'supervised':
        pairs = matching_pairs(fitted, config.seed)
    with display.working('whitening on the training images') as progress:
        fit_whitening(network, fitted.images, pairs, domains=fitted.domains, progress=progress)
    with display.working('calibrating on the held-out images') as progress:
        pooled = pooled_descriptors(network, held_out.images, progress=progress)
    calibration = _calibration(_whitened(network, pooled), held_out, display)
    metadata = _metadata(config, training, state) | {'calibration': calibration}
    extra = {'metadata': metadata, 'step': state.best_step if state.best else state.step}
    save_network(folder / 'network', network, extra)
    shown = held_out.images or training.images
    real = [read_image(image) for image in shown[:PARITY_IMAGES]]
    model_id = export_bundle(network, real, metadata, path)
    display.say(f'exported {path}, model {model_id[:12]}')


@torch.no_grad()
def keep_share(network: PlaceNetwork, initial: PlaceNetwork, share: float) -> None:
    """Sets every trained parameter to initial + share * (trained - initial)."""
    start = dict(initial.named_parameters())
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            parameter.lerp_(start[name].to(parameter.device), 1.0 - share)


def matching_pairs(supervision: Supervision, seed: int) -> NDArray[np.int64]:
    """Every query with one of its potential positives, drawn at random; (Q, 2) int64."""
    rng = np.random.default_rng(seed)
    queries = supervision.queries.tolist()
    pairs = [(query, rng.choice(supervision.positives(query))) for query in queries]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


@torch.no_grad()
def _whitened(network: PlaceNetwork, pooled: np.ndarray) -> NDArray[np.float32]:
    device = next(network.parameters()).device
    rows = np.empty((len(pooled), network.whitening.dim), np.float32)
    for start in range(0, len(pooled), WHITENED_AT_ONCE):
        part = torch.from_numpy(pooled[start : start + WHITENED_AT_ONCE]).to(device)
        rows[start : start + len(part)] = network.whitening(part).cpu().numpy()
    return rows


def _calibration(
    descriptors: NDArray[np.float32], held_out: Supervision, display: ProgressDisplay
) -> dict[str, float] | None:
    if not len(held_out):
        display.say('no calibration: no images were held out (supervision.validation_share)')
        return None
    try:
        matches = BestMatches.find(descriptors, held_out)
        calibration = fit_calibration(matches)
    except NetvladError as error:
        display.say(f'no calibration: {error}')
        return None
    for name in ('right', 'wrong', 'lookalike'):
        values = getattr(matches, name)
        if len(values):
            low, middle, high = np.percentile(values, (5, 50, 95))
            display.say(
                f'held-out {name} matches: 5 % {low:.3f}  50 % {middle:.3f}  95 % {high:.3f}'
            )
    display.say(f'calibration: midpoint {calibration.midpoint:.3f}, slope {calibration.slope:.1f}')
    return {'midpoint': calibration.midpoint, 'slope': calibration.slope}


def _metadata(config: TrainConfig, training: Supervision, state: RunState) -> dict[str, Any]:
    licences = dict.fromkeys(source.licence for source in config.sources)
    return {
        'name': config.name,
        'licence': 'Apache-2.0',
        'training': {
            'data': [source.name for source in training.sources],
            'data_licence': ', '.join(name for name in licences if name),
            'frames': len(training),
            'loss': config.loss.kind,
            'distillation': config.loss.distillation,
            'mining': config.mining.mode,
            'seed': config.seed,
            'steps': state.best_step if state.best else state.step,
            'keep': config.loop.keep,
            'validation': asdict(state.best) if state.best else None,
            'version': __version__,
        },
    }
