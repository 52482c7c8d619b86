"""`netvlad train`: trains a place descriptor on drives or public benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from netvlad_ros.core.errors import NetvladError


def train(
    config: Annotated[
        Path | None,
        typer.Option(
            '--config', help='Training settings, YAML; left out: defaults, for your own drives.'
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            '--data',
            help='Images to train on, in place of the sources of the settings: a folder with '
            'poses.csv, a bag, a public benchmark. Repeat it for more.',
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            '--weights', help='Backbone to start from: .safetensors, .pth, torchvision or none.'
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option('--out', help='Each run leaves a folder of its own in here.')
    ] = Path('runs'),
    resume: Annotated[
        bool, typer.Option('--resume', help='Go on with the latest run in --out.')
    ] = False,
    steps: Annotated[
        int | None, typer.Option('--steps', help='Updates in all; short for --set loop.steps=N.')
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            '--set',
            metavar='SECTION.KEY=VALUE',
            help='Change one setting, as loss.margin=0.2.',
        ),
    ] = None,
) -> None:
    """Train a descriptor and export it as a model bundle; needs torch (the extra "train").

    Ctrl-C or a crash leaves the checkpoint of the last round; --resume goes on from there to the
    very same weights.

    Several GPUs or machines: start the same command under torchrun,

        torchrun --nproc-per-node 2 -m netvlad_ros.cli train --config config/train.yaml

    and one batch is shared by all processes: the result is that of one process.
    """
    try:
        from netvlad_ros.training.loop.distributed import is_first
        from netvlad_ros.training.loop.run import TrainConfig, run_training
    except ImportError as error:
        raise NetvladError(
            f"training needs {error.name or 'torch'}: pip install 'netvlad_ros[train]'"
        ) from error

    asked = list(changes or [])
    if weights is not None:
        asked.append(f'network.weights={json.dumps(weights)}')
    if steps is not None:
        asked.append(f'loop.steps={steps}')
    settings = TrainConfig() if config is None else TrainConfig.load(config)
    if data:
        settings = settings.with_sources(data)
    path = run_training(settings.changed(asked), out=out, resume=resume)
    if is_first():
        typer.echo(path)
