"""A run that is killed and resumed ends with the weights of an uninterrupted run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

torch = pytest.importorskip('torch')

from tiny_training import GROUPS, settings, trained, write_clips  # noqa: E402

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.training.config.train_config import TrainConfig  # noqa: E402
from netvlad_ros.training.loop import run  # noqa: E402
from netvlad_ros.training.loop.run import run_training  # noqa: E402
from netvlad_ros.training.loop.step import TrainingStep  # noqa: E402

LOOP = {'steps': 24, 'round_steps': 8, 'validate_every': 1, 'lr_backbone': 1e-5}


def command(config, out):
    path = out.with_suffix('.yaml')
    path.write_text(yaml.safe_dump(config))
    arguments = ['train', '--config', str(path), '--out', str(out)]
    return [sys.executable, '-m', 'netvlad_ros.cli', *arguments]


def reached(out):
    """Step of the last checkpoint."""
    try:
        return json.loads((out / 'latest' / 'checkpoint.json').read_text())['step']
    except OSError:
        return -1


def test_killed_in_the_middle_of_a_round(tmp_path):
    clips = write_clips(tmp_path / 'clips')
    config = settings(clips, loop=LOOP)
    out = tmp_path / 'killed'
    process = subprocess.Popen(
        command(config, out), stderr=subprocess.DEVNULL, env={**os.environ, 'OMP_NUM_THREADS': '1'}
    )
    try:
        deadline = time.monotonic() + 120
        while reached(out) < 8 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.2)  # some steps into the next round
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert reached(out) in (8, 16), 'killed too late to show anything'

    typed = TrainConfig.of(config, 'test')
    resumed = run_training(typed, out=out, resume=True)
    whole = run_training(typed, out=tmp_path / 'whole')
    ours, theirs = trained(resumed.parent), trained(whole.parent)
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    # So are the bundle, and every line of the log except its times.
    assert resumed.read_bytes() == whole.read_bytes()
    logs = [(path.parent / 'log.csv').read_text().splitlines() for path in (resumed, whole)]
    assert [line.split(',')[:3] for line in logs[0]] == [line.split(',')[:3] for line in logs[1]]


@pytest.mark.parametrize('sections', [{}, GROUPS], ids=['triplet-partial', 'similarity-groups'])
@pytest.mark.parametrize('optimizer', ['sgd', 'adamw'])
def test_interrupted_by_the_user(tmp_path, monkeypatch, sections, optimizer):
    clips = write_clips(tmp_path / 'clips')
    loop = {'optimizer': optimizer, 'schedule': 'cosine', 'warmup': 2, 'weight_decay': 0.01}
    config = TrainConfig.of(settings(clips, **sections, loop=loop), 'test')
    update, calls = TrainingStep.update, []

    def interrupted(self, *args):
        calls.append(args)
        if len(calls) == 4:  # in the middle of the second round
            raise KeyboardInterrupt
        return update(self, *args)

    monkeypatch.setattr(run.TrainingStep, 'update', interrupted)
    with pytest.raises(NetvladError, match=r'after step 3; .* step 2 is kept .* --resume'):
        run_training(config, out=tmp_path / 'parts')
    monkeypatch.setattr(run.TrainingStep, 'update', update)
    resumed = trained(run_training(config, out=tmp_path / 'parts', resume=True).parent)
    whole = trained(run_training(config, out=tmp_path / 'whole').parent)
    assert resumed.keys() == whole.keys()
    assert all((resumed[name] == whole[name]).all() for name in whole)
