"""Recall of held-out places, against a loop over the queries."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')

from tiny_places import place_images

from netvlad_ros.training.config.sections import SupervisionConfig
from netvlad_ros.training.data.supervision import Supervision
from netvlad_ros.training.loop import validation
from netvlad_ros.training.loop.validation import Validation

COUNT = 40


def test_recall_is_the_mean_over_domains():
    sizes = {'large': 30, 'small': 2}
    sources = [
        place_images(
            name,
            positions_m=[[100 * (i // 2), i % 2] for i in range(2 * size)],
            recordings=range(2 * size),
            areas=[name] * (2 * size),
        )
        for name, size in sizes.items()
    ]
    rows = np.eye(32, dtype=np.float32)[np.repeat(np.arange(32), 2)]
    rows[61], rows[63] = rows[62], rows[60]  # the small domain mistakes its places
    found = Validation(Supervision(sources, SupervisionConfig()), cache_mb=1)(lambda i: rows[i])
    assert (found.at_1, found.queries) == (0.5, 64)


@pytest.mark.parametrize('multi_visit', [False, True])
def test_recall_leaves_out_what_is_no_revisit_and_counts_ties_as_lost(monkeypatch, multi_visit):
    monkeypatch.setattr(validation, 'BLOCK', 7)
    rng = np.random.default_rng(1)
    x, times = rng.uniform(0, 120, COUNT), rng.uniform(0, 6, COUNT)
    visits = rng.integers(0, 3, COUNT)
    files = [f'{i}.jpg' for i in range(COUNT - 1)] + ['0.jpg']  # one is listed on both sides
    x[-1], visits[-1] = x[0], visits[0] + 1
    asked, known = rng.random((2, COUNT)) < 0.7
    asked[0] = known[-1] = True
    images = place_images(
        images=files, positions_m=np.stack([x, np.zeros(COUNT)], 1), times_s=times,
        recordings=visits, is_query=asked, is_database=known,
    )  # fmt: skip
    rows = rng.integers(-1, 2, (COUNT, 3)).astype(np.float32)  # few values: many ties

    before = []
    for q in np.flatnonzero(asked):
        ranked = [
            i
            for i in np.flatnonzero(known)
            if files[i] != files[q]
            and (visits[i] != visits[q] or (not multi_visit and abs(times[i] - times[q]) >= 1.0))
        ]
        positives = [i for i in ranked if abs(x[i] - x[q]) <= 10.0]
        if positives:
            best = max(rows[q] @ rows[i] for i in positives)
            others = [i for i in ranked if i not in positives]
            before.append(sum(rows[q] @ rows[i] >= best for i in others))
    expected = [np.mean(np.array(before) < n) for n in validation.RANKS]

    supervision = Supervision([images], SupervisionConfig(multi_visit=multi_visit))
    recall = Validation(supervision, cache_mb=1)(lambda indices: rows[indices])
    assert 10 < recall.queries == len(before)
    assert [recall.at_1, recall.at_5, recall.at_10] == pytest.approx(expected)
    assert 0.0 < recall.at_1 < recall.at_5 < recall.at_10
