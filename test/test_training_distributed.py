"""Two processes under torchrun give the weights of one process."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

pytestmark = pytest.mark.alone
torch = pytest.importorskip('torch')

from safetensors.numpy import load_file  # noqa: E402
from tiny_training import GROUPS, settings, trained, write_clips  # noqa: E402

from netvlad_ros.training.config.train_config import TrainConfig  # noqa: E402
from netvlad_ros.training.loop.run import run_training  # noqa: E402

TORCHRUN = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2']


def torchrun(config, out):
    path = out.with_suffix('.yaml')
    path.write_text(yaml.safe_dump(config))
    command = [*TORCHRUN, '-m', 'netvlad_ros.cli', 'train', '--config', str(path)]
    return subprocess.run(
        [*command, '--out', str(out)],
        capture_output=True, text=True, timeout=200,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip


@pytest.mark.parametrize('sections', [{}, GROUPS], ids=['triplet-partial', 'similarity-groups'])
def test_two_processes_equal_one(tmp_path, sections):
    clips = write_clips(tmp_path / 'clips')
    # Three tuples, or places of three images, do not divide by two. The optimizer is SGD: the first
    # steps of Adam have the size of the learning rate even for gradients of rounding errors.
    loop = {'batch': 3, 'optimizer': 'sgd', 'lr_backbone': 3e-6, 'validate_every': 1}
    loop['lr_pooling'] = 1e-3
    config = settings(clips, **sections, loop=loop)
    done = torchrun(config, tmp_path / 'two')
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('tiny.onnx') == 1
    (folder,) = (path for path in (tmp_path / 'two').iterdir() if not path.is_symlink())
    single = run_training(TrainConfig.of(config, 'test'), out=tmp_path / 'one').parent
    start = load_file(single / 'initial.safetensors')
    one, two = trained(single), trained(folder)
    names = {f'network.{name}': value for name, value in start.items()}
    moved = max(np.abs(one[name] - before).max() for name, before in names.items())
    apart = max(np.abs(one[name] - two[name]).max() for name in names)
    assert moved > 1e-4, 'training must have changed the weights for this to mean anything'
    assert apart <= 1e-5


def test_one_sentence_of_an_error(tmp_path):
    clips = write_clips(tmp_path / 'clips')
    done = torchrun(
        settings(clips, network={'weights': str(tmp_path / 'gone.pth')}), tmp_path / 'x'
    )
    assert done.returncode != 0
    sentences = [line for line in done.stderr.splitlines() if 'netvlad: error:' in line]
    assert len(sentences) == 1 and 'gone.pth' in sentences[0]
