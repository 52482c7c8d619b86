"""Each loss against its equation, written as a loop in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.training.data.batch import TrainingBatch, TrainingTuple, tuple_positions  # noqa: E402
from netvlad_ros.training.losses.make_loss import LOSSES, LossConfig, make_loss  # noqa: E402

DIM = 6
CELLS = np.zeros(3, np.int64)  # the group of each


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def tuples():
    """Three tuples, the second with two negatives only; all pairs of different tuples differ."""
    entries = [
        TrainingTuple(0, 1, (2, 3, 4)),
        TrainingTuple(5, 6, (7, 8)),
        TrainingTuple(9, 10, (11, 12, 13)),
    ]
    positions = tuple_positions(entries)
    positive = np.zeros((14, 14), bool)
    positive[positions[:, 0], positions[:, 1]] = True
    positive |= positive.T
    negative = ~positive & ~np.eye(14, dtype=bool)
    negative[2, 3] = negative[3, 2] = False  # nothing is known of these two
    labels = np.array([0, 0, 1, 1, -1, 1, 1, 2, 2, 0, 0, 2, -1, 1])
    return TrainingBatch(np.arange(14), positions, positive, negative, labels)


@pytest.fixture
def descriptors():
    # Near each other, so that hinges and the choice of pairs have an effect.
    rng = np.random.default_rng(3)
    return unit(rng.normal(size=(14, DIM)) * 0.7 + np.ones(DIM))


def config(kind):
    return LossConfig(kind=kind, margin=0.2, contrastive_margin=0.9, temperature=0.5)


def squared(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def loop_triplet(d, batch, c):
    total = 0.0
    for q, p, *negatives in batch.tuples:
        for n in (n for n in negatives if n >= 0):
            total += max(0.0, squared(d[q], d[p]) + c.margin - squared(d[q], d[n]))
    return total / len(batch.tuples)


def loop_contrastive(d, batch, c):
    total = 0.0
    for q, p, *negatives in batch.tuples:
        total += squared(d[q], d[p]) / 2
        for n in (n for n in negatives if n >= 0):
            total += max(0.0, c.contrastive_margin - np.sqrt(squared(d[q], d[n]))) ** 2 / 2
    return total / len(batch.tuples)


def loop_contrastive_of_pairs(d, batch, c):
    pull, push = [], []
    for i in range(len(d)):
        for j in range(i + 1, len(d)):
            if batch.positive[i, j]:
                pull.append(squared(d[i], d[j]) / 2)
            if batch.negative[i, j]:
                gap = c.contrastive_margin - np.sqrt(squared(d[i], d[j]))
                push += [gap**2 / 2] if gap > 0 else []
    return np.mean(pull) + np.mean(push)


def loop_sare_joint(d, batch, c):
    total = 0.0
    for q, p, *negatives in batch.tuples:
        near = np.exp(-squared(d[q], d[p]) / c.temperature)
        far = sum(np.exp(-squared(d[q], d[n]) / c.temperature) for n in negatives if n >= 0)
        total -= np.log(near / (near + far))
    return total / len(batch.tuples)


def loop_sare_independent(d, batch, c):
    total = 0.0
    for q, p, *negatives in batch.tuples:
        near = np.exp(-squared(d[q], d[p]) / c.temperature)
        for n in (n for n in negatives if n >= 0):
            far = np.exp(-squared(d[q], d[n]) / c.temperature)
            total -= np.log(near / (near + far))
    return total / len(batch.tuples)


def loop_multi_similarity(d, batch, c):
    values = []
    for i in range(len(d)):
        positives = [j for j in range(len(d)) if batch.positive[i, j]]
        negatives = [j for j in range(len(d)) if batch.negative[i, j]]
        if not positives or not negatives:
            continue
        s = [float(d[i] @ d[j]) for j in range(len(d))]
        farthest, nearest = min(s[j] for j in positives), max(s[j] for j in negatives)
        pull = [np.exp(-c.alpha * (s[j] - c.base)) for j in positives if s[j] < nearest + c.epsilon]
        push = [np.exp(c.beta * (s[j] - c.base)) for j in negatives if s[j] > farthest - c.epsilon]
        values.append(np.log(1 + sum(pull)) / c.alpha + np.log(1 + sum(push)) / c.beta)
    return np.mean(values)


def loop_classification(d, batch, c, weight):
    values = []
    for row, label in zip(d, batch.labels, strict=True):
        if label < 0:
            continue
        cosines = [row @ w / np.linalg.norm(w) for w in weight]
        own = np.exp(c.scale * (cosines[label] - c.cosface_margin))
        others = sum(np.exp(c.scale * x) for k, x in enumerate(cosines) if k != label)
        values.append(-np.log(own / (own + others)))
    return np.mean(values)


LOOPS = {
    'triplet': loop_triplet,
    'contrastive': loop_contrastive,
    'sare_joint': loop_sare_joint,
    'sare_independent': loop_sare_independent,
    'multi_similarity': loop_multi_similarity,
    'classification': loop_classification,
}


@pytest.mark.parametrize('kind', LOSSES)
def test_loss_is_the_loop_and_its_gradient_is_right(kind, tuples, descriptors):
    torch.manual_seed(0)
    loss = make_loss(config(kind), DIM, CELLS).double()
    weights = [w.detach().numpy() for w in loss.parameters()]
    expected = LOOPS[kind](descriptors, tuples, config(kind), *weights)
    before = replace(tuples, positive=tuples.positive.copy(), negative=tuples.negative.copy())
    x = torch.from_numpy(descriptors).requires_grad_()
    assert expected > 0.01
    assert loss(x, tuples).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda rows: loss(rows, tuples), x)
    assert (tuples.positive == before.positive).all()  # torch shares NumPy's memory
    assert (tuples.negative == before.negative).all()


@pytest.mark.parametrize('kind', [k for k in LOSSES if make_loss(config(k), DIM, CELLS).separable])
def test_separable_losses_are_the_mean_of_their_parts(kind, tuples, descriptors):
    loss = make_loss(config(kind), DIM, CELLS).double()
    x = torch.from_numpy(descriptors)
    parts = tuples.parts()
    assert [len(part) for part in parts] == [5, 4, 5]
    values = [loss(x[torch.from_numpy(part.images)], part).item() for part in parts]
    assert np.mean(values) == pytest.approx(loss(x, tuples).item(), rel=1e-12)


def test_contrastive_loss_of_groups_is_over_marked_pairs(tuples, descriptors):
    group = replace(tuples, tuples=np.empty((0, 2), np.int64))
    loss = make_loss(config('contrastive'), DIM, CELLS).double()
    expected = loop_contrastive_of_pairs(descriptors, group, config('contrastive'))
    x = torch.from_numpy(descriptors).requires_grad_()
    assert loss(x, group).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda rows: loss(rows, group), x)
    assert group.parts() == [group]


def test_each_group_of_cells_has_a_classifier_of_its_own(tuples, descriptors):
    groups = np.array([1, 0, 1, 0, 2])
    batch = replace(tuples, labels=np.array([0, 2, 1, 3, 4, 0, -1, 1, 3, 3, 2, 2, 1, 0]))
    loss = make_loss(config('classification'), DIM, groups).double()
    weight = loss.weight.detach().numpy()
    total = 0.0  # a group of one cell has no loss
    for group in (0, 1):
        cells = np.flatnonzero(groups == group)
        members = np.flatnonzero(np.isin(batch.labels, cells))
        part = replace(batch, labels=np.searchsorted(cells, batch.labels[members]))
        mean = loop_classification(
            descriptors[members], part, config('classification'), weight[cells]
        )
        total += mean * len(members)
    x = torch.from_numpy(descriptors).requires_grad_()
    assert loss(x, batch).item() == pytest.approx(total / 13, rel=1e-12)
    assert torch.autograd.gradcheck(lambda rows, _: loss(rows, batch), (x, loss.weight))
    assert list(loss.state_dict()) == ['weight']
    only = replace(batch, labels=np.where(batch.labels == 3, 3, -1))
    (felt,) = torch.autograd.grad(loss(x, only), loss.weight)
    assert felt.any(dim=1).tolist() == [False, True, False, True, False]


def test_identical_descriptors_leave_every_gradient_finite(tuples):
    rows = torch.ones(14, DIM, dtype=torch.float32) / DIM**0.5
    for kind in LOSSES:
        x = rows.clone().requires_grad_()
        make_loss(config(kind), DIM, CELLS)(x, tuples).backward()
        assert torch.isfinite(x.grad).all(), kind


def test_half_precision_descriptors_are_ranked_in_single_precision(tuples, descriptors):
    x = torch.from_numpy(descriptors)
    for kind in LOSSES:
        torch.manual_seed(0)
        loss = make_loss(config(kind), DIM, CELLS)
        with torch.autocast('cpu', torch.bfloat16):
            found = loss(x.bfloat16(), tuples)
        assert found.dtype == torch.float32
        exact = loss(x.bfloat16().float(), tuples)
        assert found.item() == pytest.approx(exact.item(), rel=1e-6), kind


def test_a_batch_without_pairs_or_cells_has_a_loss_of_zero(descriptors):
    lonely = TrainingBatch(
        np.arange(14), np.empty((0, 2), np.int64), *np.zeros((2, 14, 14), bool), np.full(14, -1)
    )
    for kind in ('contrastive', 'multi_similarity', 'classification'):
        x = torch.from_numpy(descriptors).float().requires_grad_()
        value = make_loss(config(kind), DIM, CELLS)(x, lonely)
        value.backward()
        assert value.item() == 0.0, kind
        assert not x.grad.any(), kind


def test_misfits_get_one_sentence(tuples, descriptors):
    x = torch.from_numpy(descriptors)
    group = replace(tuples, tuples=np.empty((0, 2), np.int64))
    for kind in LOSSES:
        if config(kind).needs_tuples:
            with pytest.raises(NetvladError, match='ranks tuples, and mining by groups draws none'):
                make_loss(config(kind), DIM, CELLS)(x, group)
    with pytest.raises(
        NetvladError, match='two spatial cells in a group at least, the data has 3 in 3'
    ):
        make_loss(config('classification'), DIM, np.arange(3))
    with pytest.raises(NetvladError, match='13 descriptors for 14 images'):
        make_loss(config('triplet'), DIM, CELLS)(x[1:], tuples)
