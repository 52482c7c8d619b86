"""Damaged run folders give one error message; nothing is trained or exported."""

from __future__ import annotations

import json
import shutil

import pytest

torch = pytest.importorskip('torch')

from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_training import settings, write_clips  # noqa: E402

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.training.config.train_config import TrainConfig  # noqa: E402
from netvlad_ros.training.loop.run import run_training  # noqa: E402

LOOP = {'steps': 1, 'validate_every': 1}


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A folder of runs whose latest is finished, and its settings."""
    folder = tmp_path_factory.mktemp('finished')
    config = TrainConfig.of(settings(write_clips(folder / 'clips'), loop=LOOP), 'test')
    run_training(config, out=folder / 'runs')
    return folder / 'runs', config


@pytest.fixture
def resume(finished, tmp_path):
    """Resumes a damaged copy of the run; the error message must match."""

    def refused(match, damage):
        runs, config = finished
        shutil.rmtree(tmp_path / 'runs', ignore_errors=True)
        shutil.copytree(runs, tmp_path / 'runs', symlinks=True)
        damage(tmp_path / 'runs' / 'latest')
        longer = config.changed(['loop.steps=2'])
        with pytest.raises(NetvladError, match=match) as caught:
            run_training(longer, out=tmp_path / 'runs', resume=True)
        assert '\n' not in str(caught.value)

    return refused


def test_a_checkpoint_that_says_nonsense(resume):
    def say(**entries):
        def damage(run):
            path = run / 'checkpoint.json'
            path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))

        return damage

    best = {'at_1': 0.5, 'at_5': 0.5, 'at_10': 0.5, 'queries': 9}
    resume('step None is no number', say(step=None))
    resume('damaged .*round is -1', say(round=-1))
    resume('damaged .*best_step is True', say(best_step=True))
    resume("damaged .*a recall of 'much'", say(best={**best, 'at_5': 'much'}))
    resume('damaged .*a recall of nan', say(best={**best, 'at_1': float('nan')}))
    resume('None queries were drawn', say(miner=[]))
    resume('best_7.json does not exist', say(best_step=7))
    resume('no usable checkpoint', lambda run: (run / 'checkpoint.json').write_text('{"step": 1'))


def test_a_best_network_that_is_gone_is_missed_before_training_goes_on(resume, tmp_path):
    def lose(run):
        for file in run.glob('best_*.safetensors'):
            file.unlink()

    resume(r'best_\d.safetensors', lose)
    assert json.loads((tmp_path / 'runs/latest/checkpoint.json').read_text())['step'] == 1


def test_tensors_that_are_of_another_run(resume):
    def change(missing=None, **tensors):
        def damage(run):
            path = run / 'checkpoint_1.safetensors'
            kept = {k: v for k, v in load_file(path).items() if k != missing}
            save_file({**kept, **tensors}, path)

        return damage

    centroids, moment = 'network.pooling.centroids', 'optimizer.0.exp_avg'
    resume('layer pooling.centroids is missing', change(centroids))
    resume(
        'pooling.centroids is torch.int8', change(**{centroids: torch.zeros(3, 96).to(torch.int8)})
    )
    resume('pooling.centroids is not finite', change(**{centroids: torch.full((3, 96), torch.nan)}))
    resume('layer weight has no place', change(**{'loss.weight': torch.zeros(1)}))
    resume('exp_avg of parameter 0 is missing', change(moment))
    resume('exp_avg of parameter 0 is .*another shape', change(**{moment: torch.zeros(2)}))
    resume(
        'step of parameter 0 is no finite', change(**{'optimizer.0.step': torch.tensor(torch.inf)})
    )
    resume('no place for 999.step', change(**{'optimizer.999.step': torch.zeros(())}))
    resume('no usable checkpoint', lambda run: (run / 'checkpoint_1.safetensors').write_bytes(b'{'))


def test_settings_that_are_none(resume):
    def write(text):
        return lambda run: (run / 'config.yaml').write_text(text)

    bomb = 'supervision:\n  validation_areas:\n  - &a [1, 1, 1, 1, 1, 1, 1, 1]\n'
    for before, name in zip('abcdefghi', 'bcdefghij', strict=True):  # 10^9 numbers
        bomb += f'  - &{name} [{", ".join(["*" + before] * 8)}]\n'
    resume('validation_areas must be', write(bomb))
    resume('cannot be read as training settings', write('[' * 5000))
    resume('cannot be read as training settings', write('name: 2020-13-45'))
    resume('cannot be read as training settings', write('seed: ' + '9' * 9999))
    resume('keep must be float', write('loop: {keep: 1' + '0' * 400 + '}'))
    resume('larger than', write('#' * 2**21))
