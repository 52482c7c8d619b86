"""A tiny training run: exact for any chunk size, keeps the best network, names its errors."""

from __future__ import annotations

import csv
import json
import resource
from pathlib import Path

import numpy as np
import pytest
import yaml

torch = pytest.importorskip('torch')

from safetensors.torch import load_file  # noqa: E402
from tiny_drive import pose, write_drive  # noqa: E402
from tiny_training import GROUPS, settings, trained, write_clips  # noqa: E402

from netvlad_ros import cli  # noqa: E402
from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.core.model.bundle import ModelBundle  # noqa: E402
from netvlad_ros.training.config.train_config import TrainConfig  # noqa: E402
from netvlad_ros.training.loop import run_state  # noqa: E402
from netvlad_ros.training.loop.run import run_training  # noqa: E402
from netvlad_ros.training.loop.validation import Recall, Validation  # noqa: E402
from netvlad_ros.training.losses.triplet import TripletRankingLoss  # noqa: E402
from netvlad_ros.training.network import describer  # noqa: E402
from netvlad_ros.training.network.describer import Describer  # noqa: E402
from netvlad_ros.training.network.network import PlaceNetwork  # noqa: E402

RECIPES = Path(__file__).resolve().parent.parent / 'config'


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp('clips'))


@pytest.fixture
def train(clips, tmp_path):
    """Runs with sections merged into the tiny settings; returns the folder of the run."""

    def run(out='runs', resume=False, **sections):
        config = TrainConfig.of(settings(clips, **sections), 'test')
        return run_training(config, out=tmp_path / out, resume=resume).parent

    return run


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_a_run_leaves_a_bundle_that_knows_its_origin(train):
    folder = train(loop={'validate_every': 1})
    files = {path.name for path in folder.iterdir()} - {'tensorboard'}
    best = json.loads((folder / 'checkpoint.json').read_text())['best_step']
    assert files == {
        'config.yaml', 'environment.json', 'log.csv', 'checkpoint.json',
        'checkpoint_4.safetensors', 'initial.json', 'initial.safetensors', f'best_{best}.json',
        f'best_{best}.safetensors', 'network.json', 'network.safetensors', 'tiny.onnx',
    }  # fmt: skip
    metadata = ModelBundle.load(folder / 'tiny.onnx', device='cpu').metadata
    assert metadata.name == 'tiny' and metadata.licence == 'Apache-2.0'
    assert metadata.training['data'] == ['tiny']
    assert metadata.training['data_licence'] == 'MIT'
    with (folder / 'log.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['step'] for row in rows] == ['2', '4']
    assert all(float(row['loss']) > 0 and 0 <= float(row['recall_at_5']) <= 1 for row in rows)


def test_every_layer_trains(train):
    folder = train()
    weights, start = trained(folder), load_file(folder / 'initial.safetensors')
    still = [
        name
        for name, before in start.items()
        if np.array_equal(before.numpy(), weights[f'network.{name}'])
        and name.startswith(('backbone', 'pooling'))
        and not any(word in name for word in ('running', 'num_batches'))
    ]
    assert not still


@pytest.mark.parametrize('sections', [{}, GROUPS], ids=['triplet-partial', 'similarity-groups'])
def test_chunks_and_worker_processes_change_nothing(train, sections):
    whole = trained(train('whole', **sections))
    parts = trained(train('parts', **sections, loop={'chunk': 2, 'workers': 2}))
    assert same(whole, parts)


def test_two_batches_accumulated_are_one_of_twice_the_size(train):
    large = trained(train('large'))
    small = trained(train('small', loop={'batch': 1, 'accumulate': 2}))
    assert same(large, small)


@pytest.mark.parametrize(
    'kind', ['contrastive', 'sare_joint', 'sare_independent', 'classification']
)
def test_every_loss_goes_through(train, kind):
    cells = {'validation_areas': []} if kind == 'classification' else {}
    folder = train(loss={'kind': kind}, loop={'steps': 1, 'amp': 'bfloat16'}, supervision=cells)
    assert all(np.isfinite(values).all() for values in trained(folder).values())


def test_the_best_by_recall_at_5_is_exported_and_patience_ends_the_run(train, monkeypatch):
    script = iter([(0.9, 0.2), (0.1, 0.5), (0.8, 0.4), (0.8, 0.5)])  # recall@1, recall@5

    def scripted(*_):
        at_1, at_5 = next(script)
        return Recall(at_1, at_5, 1.0, queries=10)

    monkeypatch.setattr(Validation, '__call__', scripted)
    seen = []
    save = run_state.save_checkpoint

    def watched(folder, training, progress):
        # The best network is saved before the checkpoint that names it.
        assert (folder / f'best_{progress["best_step"]}.safetensors').is_file()
        seen.append((progress['step'], progress['best_step'], progress['stale']))
        save(folder, training, progress)

    monkeypatch.setattr(run_state, 'save_checkpoint', watched)
    loop = {'steps': 9, 'round_steps': 1, 'validate_every': 1, 'patience': 3}
    monkeypatch.setattr(Recall, 'order', property(lambda self: (self.at_5,)))
    with pytest.raises(StopIteration):
        train(loop=loop)  # patience of 3 is not reached before the end of the script
    assert seen == [(0, 0, 0), (1, 1, 0), (2, 1, 1), (3, 1, 2)]


def test_early_stopping_exports_the_best(train, monkeypatch):
    script = iter([(0.9, 0.2), (0.1, 0.5), (0.8, 0.4), (0.1, 0.5)])
    monkeypatch.setattr(Validation, '__call__', lambda *_: Recall(*next(script), 1.0, 10))
    loop = {'steps': 9, 'round_steps': 1, 'validate_every': 1, 'patience': 2}
    folder = train(loop=loop)
    progress = json.loads((folder / 'checkpoint.json').read_text())
    assert (progress['step'], progress['best_step']) == (3, 1)
    best, out = (load_file(folder / f'{name}.safetensors') for name in ('best_1', 'network'))
    assert all(torch.equal(best[k], out[k]) for k in best if 'whitening' not in k)
    assert not same(trained(folder), {f'network.{k}': v.numpy() for k, v in best.items()})
    training = ModelBundle.load(folder / 'tiny.onnx', device='cpu').metadata.training
    assert training['steps'] == 1 and training['validation']['at_5'] == 0.5


def test_keep_goes_part_of_the_way(train):
    folder = train(loop={'keep': 0.25})
    start, end = (load_file(folder / f'{name}.safetensors') for name in ('initial', 'network'))
    last = trained(folder)
    for name in ('pooling.centroids', 'backbone.features.0.0.weight'):
        wanted = start[name].numpy() * 0.75 + last[f'network.{name}'] * 0.25
        assert np.allclose(end[name].numpy(), wanted, atol=1e-6)


def test_a_loss_that_is_not_finite_names_the_images_and_keeps_the_checkpoint(train, monkeypatch):
    value, calls = TripletRankingLoss._value, []

    def diverging(self, descriptors, batch):
        calls.append(batch)
        return value(self, descriptors, batch) * (np.nan if len(calls) == 6 else 1.0)

    monkeypatch.setattr(TripletRankingLoss, '_value', diverging)
    with pytest.raises(NetvladError, match=r'the loss is nan on the batch of .*\d_\d\.png.*kept'):
        train()
    monkeypatch.setattr(TripletRankingLoss, '_value', value)
    assert same(trained(train(resume=True)), trained(train('again')))


def test_a_full_disk_keeps_the_last_good_checkpoint(train, monkeypatch):
    save, calls = run_state.save_checkpoint, []

    def limited(folder, training, progress):
        calls.append(folder)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if len(calls) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            save(folder, training, progress)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(run_state, 'save_checkpoint', limited)
    with pytest.raises(NetvladError, match=r'checkpoint of step 4 cannot be written .* --resume'):
        train()
    assert sorted(p.name for p in calls[0].glob('*checkpoint*')) == [
        'checkpoint.json', 'checkpoint_2.safetensors',
    ]  # fmt: skip
    monkeypatch.setattr(run_state, 'save_checkpoint', save)
    assert same(trained(train(resume=True)), trained(train('again')))


def test_unusable_settings_get_one_sentence(clips, train, tmp_path):
    def refused(match, **sections):
        with pytest.raises(NetvladError, match=match) as error:
            train(**sections)
        assert '\n' not in str(error.value)

    refused('holds no run to resume', resume=True)
    refused('give --data', sources=[])
    refused('needs --weights', network={'weights': ''})
    refused('does not exist', sources=[{'path': str(tmp_path / 'gone')}])
    refused("loop: unknown setting 'stpes'", loop={'stpes': 3})
    refused('mining: must be a mapping', mining=[])
    refused("unknown setting 'lop'", lop=3)
    refused('name .* letters', name='../x')
    refused('float16 needs a CUDA device', loop={'amp': 'float16'})
    refused('triplet ranks tuples', mining={'mode': 'groups'})
    refused('nothing of this network trains', network={
        'trainable_layers': 0, 'pooling': 'mac', 'dim': 4})  # fmt: skip
    config = TrainConfig.of(settings(clips), 'test')
    for change in ('loop.steps', 'loop=', 'x.y=1', 'loop.steps=[', 'loop.steps=a'):
        with pytest.raises(NetvladError, match='--set'):
            config.changed([change])
    assert config.changed(['loop.steps=7', 'seed=3']).loop.steps == 7
    again = TrainConfig.of(yaml.safe_load(config.to_yaml()), 'again')
    assert again == config


@pytest.mark.parametrize('path', sorted(RECIPES.glob('train*.yaml')), ids=lambda path: path.stem)
def test_every_recipe_can_be_read(path):
    config = TrainConfig.load(path)
    assert config.sources
    assert TrainConfig.of(yaml.safe_load(config.to_yaml()), 'again') == config


def test_a_resumed_run_must_be_the_same_one(train):
    train(loop={'steps': 2})
    with pytest.raises(NetvladError, match=r'started with another network\.clusters'):
        train(resume=True, network={'clusters': 5})
    assert (train(resume=True, loop={'steps': 4}) / 'checkpoint_4.safetensors').is_file()


def test_an_engineer_trains_on_a_drive_without_a_configuration(tmp_path, capsys):
    poses = [pose(x=4.0 * (i % 15)) for i in range(45)]  # three laps
    write_drive(tmp_path / 'drive', poses, seeds=[i % 15 for i in range(45)])
    changes = ['network.clusters=2', 'network.height=64', 'network.width=64', 'network.dim=3',
               'loop.workers=0', 'threads=1', 'mining.negatives=2']  # fmt: skip
    command = ['train', '--data', f'{tmp_path}/drive', '--weights', 'none', '--steps', '1']
    command += ['--out', f'{tmp_path}/runs']
    for change in changes:
        command += ['--set', change]
    with pytest.raises(SystemExit) as end:
        cli.main(command)
    assert not end.value.code
    ModelBundle.load(capsys.readouterr().out.strip(), device='cpu')


@pytest.mark.parametrize('method', ['rank', 'pool'])
def test_many_images_are_described_as_few_are(clips, method, monkeypatch):
    torch.manual_seed(0)
    network = PlaceNetwork(TrainConfig.of(settings(clips), 'test').network)
    images = sorted(clips.glob('*.png'))
    few = Describer(network, method)(images)
    monkeypatch.setattr(describer, 'EXPORT_FROM', 1)
    many = Describer(network, method)(images)
    assert few.shape == (30, 288) and np.allclose(few, many, atol=1e-4)
    with pytest.raises(NetvladError, match=r'gone\.png'):
        Describer(network, method)([*images, clips / 'gone.png'])


@pytest.mark.parametrize('workers', [0, 2])
def test_an_image_that_breaks_is_named(train, clips, tmp_path, workers):
    broken = write_clips(tmp_path / 'broken')
    for path in broken.glob('*_2.png'):
        path.write_bytes(b'\x89PNG no more')
    with pytest.raises(NetvladError, match=r'_2\.png.* is not a readable image') as error:
        train(
            sources=[{'path': str(broken)}],
            mining={'mode': 'random'},
            network={'pooling': 'gem', 'dim': 4},
            loop={'workers': workers},
        )
    assert '\n' not in str(error.value)
