"""A whole training run, tiny: it resumes, it can be interrupted, it says what is wrong."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from safetensors.torch import load_file, save_file  # noqa: E402

from netvlad_ros.core.descriptor import ModelBundle  # noqa: E402
from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.training import run  # noqa: E402
from netvlad_ros.training.backbone import Backbone  # noqa: E402
from netvlad_ros.training.config import TrainConfig  # noqa: E402

FLOORS, FRAMES = 4, 5


@pytest.fixture(scope='module')
def tiny_clips(tmp_path_factory):
    """Four floors, one clip each: a window that slides over a texture."""
    folder = tmp_path_factory.mktemp('clips')
    rng = np.random.default_rng(0)
    with (folder / 'frames.csv').open('w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['image', 'floor', 'area', 'clip', 'frame_1hz'])
        for floor in range(FLOORS):
            coarse = rng.integers(0, 256, (8, 16, 3), dtype=np.uint8)
            texture = cv2.resize(coarse, (128, 64), interpolation=cv2.INTER_CUBIC)
            for frame in range(FRAMES):
                name = f'{floor}_{frame}.png'
                cv2.imwrite(str(folder / name), texture[:, 4 * frame : 4 * frame + 96])
                table.writerow([name, f'f{floor}', f'area{floor}', f'clip{floor}', frame])
    return folder


@pytest.fixture(scope='module')
def random_weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('weights') / 'w.safetensors'
    save_file(Backbone('mobilenet_v2').state_dict(), path)
    return path


@pytest.fixture
def settings(tiny_clips, random_weights, tmp_path):
    return {
        'data': str(tiny_clips), 'weights': str(random_weights), 'out': str(tmp_path / 'runs'),
        'threads': 1, 'name': 'tiny', 'clusters': 3, 'dim': 4, 'height': 64, 'width': 96,
        'local_descriptors': 1000, 'held_out_floors': ('f2', 'f3'), 'negatives': 1, 'pool': 20,
        'choice': 1, 'steps': 4, 'round_steps': 2, 'batch': 1, 'lr_backbone': 1e-4,
        'lr_pooling': 1e-2, 'margin': 4.0,
    }  # fmt: skip


def test_resumed_run_equals_the_uninterrupted_one(settings, tmp_path, monkeypatch):
    whole = ModelBundle.load(run.run_training(TrainConfig(**settings)), device='cpu')
    folder = whole.path.parent
    assert {p.name for p in folder.iterdir()} == {
        'config.yaml', 'log.csv', 'checkpoint.json', 'checkpoint_4.safetensors', 'tiny.onnx',
    }  # fmt: skip
    tensors = load_file(folder / 'checkpoint_4.safetensors')
    still = [
        name
        for name, before in tensors.items()
        if name.startswith('initial.') and 'running' not in name and 'num_batches' not in name
        and 'whitening' not in name
        and torch.equal(before, tensors[name.replace('initial.', 'network.')])
    ]  # fmt: skip
    assert not still, 'every layer must have been trained'

    parts = {**settings, 'out': str(tmp_path / 'parts')}
    update, calls = run._update, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 4:  # in the middle of the second round
            raise KeyboardInterrupt
        return update(*args)

    monkeypatch.setattr(run, '_update', interrupted)
    with pytest.raises(NetvladError, match=r'interrupted at step 3; .* go on with --resume'):
        run.run_training(TrainConfig(**parts))
    monkeypatch.setattr(run, '_update', update)
    with pytest.raises(NetvladError, match='started with another clusters'):
        run.run_training(TrainConfig(**{**parts, 'clusters': 5, 'resume': True}))
    resumed = run.run_training(TrainConfig(**parts, resume=True))
    assert ModelBundle.load(resumed, device='cpu').metadata.model_id == whole.metadata.model_id


def test_a_loss_that_is_not_finite_names_the_image_and_keeps_the_checkpoint(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(run, 'triplet_ranking_loss', lambda *_: torch.tensor(float('nan')))
    with pytest.raises(NetvladError, match=r'the loss is nan at query .*\.png'):
        run.run_training(TrainConfig(**settings))
    assert (tmp_path / 'runs' / 'latest' / 'checkpoint_0.safetensors').is_file()


def test_unusable_settings_get_one_sentence(settings, tmp_path):
    def refused(match, **changes):
        with pytest.raises(NetvladError, match=match):
            run.run_training(TrainConfig(**{**settings, **changes}))

    refused('holds no run to resume', resume=True)
    refused('training needs --data', data='')
    refused('cannot be read as a table of clips', data=str(tmp_path))
    refused("names 'f9', which has no frames", held_out_floors=('f9',))
    refused('none of the 10 training frames has a positive', positive_gap_min_s=90.0,
            positive_gap_max_s=99.0)  # fmt: skip
