"""Distillation: a network that is trained to rank places keeps its local features."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from tiny_network import make_network, pictures  # noqa: E402
from tiny_training import GROUPS, settings, trained, write_clips  # noqa: E402

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.core.model.bundle import ModelBundle  # noqa: E402
from netvlad_ros.training.config.train_config import TrainConfig  # noqa: E402
from netvlad_ros.training.loop import run  # noqa: E402
from netvlad_ros.training.loop.distillation import Distillation  # noqa: E402
from netvlad_ros.training.loop.run import run_training  # noqa: E402
from netvlad_ros.training.loop.step import TrainingStep  # noqa: E402
from netvlad_ros.training.network.network_file import load_network  # noqa: E402

pytestmark = pytest.mark.usefixtures('seeded_torch')

NETWORK = {'backbone': 'edgepoint2_t48', 'layer': 'dense8', 'weights': 'none', 'keypoints': 30}


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp('clips'))


@pytest.fixture
def train(clips, tmp_path):
    """Runs a tiny network of local features; returns the folder of the run."""

    def run(out, *, distillation=1.0, resume=False, loss=None, loop=None, **sections):
        loss = {**(loss or {}), 'distillation': distillation}
        loop = {'lr_backbone': 1e-3, **(loop or {})}
        raw = settings(clips, network=NETWORK, loss=loss, loop=loop, **sections)
        return run_training(TrainConfig.of(raw, 'test'), out=tmp_path / out, resume=resume).parent

    return run


def test_the_distance_is_a_sum_over_images_and_zero_at_the_start():
    network = make_network(**NETWORK)
    distillation = Distillation(network, 2.0, torch.device('cpu'))
    images = torch.from_numpy(np.stack(pictures(3, (64, 96))))
    assert distillation(images, network.rank_with_maps(images)[1]).item() == pytest.approx(
        0, abs=1e-4
    )
    with torch.no_grad():
        network.backbone.desc_head[2].weight[:, ::2] *= -1  # other descriptors, the same scores
    maps = network.rank_with_maps(images)[1]
    together = distillation(images, maps)
    alone = [
        distillation(images[i : i + 1], network.rank_with_maps(images[i : i + 1])[1])
        for i in range(3)
    ]
    assert float(together) == pytest.approx(float(sum(alone)), rel=1e-4)
    assert float(together) > 0.1
    with torch.no_grad():
        network.backbone.score_head[4].bias += torch.tensor([5.0, -5.0, 0.0, 0.0])
    assert distillation(images, network.rank_with_maps(images)[1]) > together + 0.1
    with pytest.raises(NetvladError, match='backbone mobilenet_v2 trains none: set it to 0'):
        TrainConfig.of({'loss': {'distillation': 1.0}}, 'test')


def test_local_features_stay_near_their_start(train):
    images = torch.from_numpy(np.stack(pictures(3, (64, 96))))
    apart = {}
    for weight in (0.0, 30.0):
        folder = train(f'runs{weight}', distillation=weight, loop={'steps': 6})
        initial, _ = load_network(folder / 'initial')
        network, extra = load_network(folder / 'network')
        distillation = Distillation(initial, 1.0, torch.device('cpu'))
        with torch.no_grad():
            apart[weight] = float(distillation(images, network.rank_with_maps(images)[1]))
        assert extra['metadata']['training']['distillation'] == weight
        bundle = ModelBundle.load(folder / 'tiny.onnx', device='cpu')
        assert len(bundle.analyse(pictures(1)[0]).features.keypoints) > 5
    assert 0 < apart[30.0] < 0.7 * apart[0.0]


@pytest.mark.parametrize('sections', [{}, GROUPS], ids=['triplet-partial', 'similarity-groups'])
def test_chunks_change_nothing_and_the_run_resumes_exactly(train, monkeypatch, sections):
    whole = trained(train('whole', **sections))
    parts = trained(train('parts', **sections, loop={'chunk': 2}))
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    update, calls = TrainingStep.update, []

    def interrupted(self, *args):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return update(self, *args)

    monkeypatch.setattr(run.TrainingStep, 'update', interrupted)
    with pytest.raises(NetvladError, match='interrupted after step 3'):
        train('broken', **sections)
    monkeypatch.undo()
    resumed = trained(train('broken', **sections, resume=True))
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_mixed_precision_goes_through(train):
    folder = train('amp', loop={'steps': 1, 'amp': 'bfloat16'})
    assert all(np.isfinite(values).all() for values in trained(folder).values())
