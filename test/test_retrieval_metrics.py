"""Average precision, the revisited protocol and the bootstrap, against cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.metrics.average_precision import (
    average_precision,
    mean_average_precision,
    precision_at,
    revisited,
    score_rankings,
)
from netvlad_ros.offline.metrics.bootstrap import bootstrap_interval, paired_difference


def walked(ranked, positives, junk):
    """The loop of compute_ap.cpp: every rank is visited, recall and precision kept from before."""
    area, seen, hits, recall, precision = 0.0, 0, 0, 0.0, 1.0
    for row in ranked:
        if row in junk:
            continue
        hits += row in positives
        seen += 1
        area += (hits / len(positives) - recall) * (precision + hits / seen) / 2
        recall, precision = hits / len(positives), hits / seen
    return area


@pytest.mark.parametrize(
    ('ranked', 'positives', 'junk', 'trapezoid', 'rectangle'),
    [
        ([3, 1, 2, 0], {3}, (), 1.0, 1.0),
        # found second: from precision 0 at rank 1 to 1/2 at rank 2
        ([1, 3, 2, 0], {3}, (), (0 + 1 / 2) / 2, 1 / 2),
        # ranks 1 and 3: (1 + 1) / 2 and (1/2 + 2/3) / 2, each half of the recall
        ([5, 7, 6], {5, 6}, (), (1 + 7 / 12) / 2, (1 + 2 / 3) / 2),
        # the same once 7 is junk: both are at the top
        ([5, 7, 6], {5, 6}, {7}, 1.0, 1.0),
        # one of two is never ranked; -1 is no image
        ([5, 7, -1, -1], {5, 6}, (), 1 / 2, 1 / 2),
        ([1, 2], {5}, (), 0.0, 0.0),
        ([], {5}, (), 0.0, 0.0),
    ],
)
def test_average_precision_of_hand_computed_rankings(ranked, positives, junk, trapezoid, rectangle):
    assert average_precision(ranked, positives, junk) == pytest.approx(trapezoid)
    assert average_precision(ranked, positives, junk, kind='rectangle') == pytest.approx(rectangle)


def test_trapezoids_are_those_of_a_walk_over_all_ranks(rng):
    for _ in range(50):
        ranked = rng.permutation(40)
        split = rng.permutation(40)
        positives, junk = set(split[: rng.integers(1, 9)].tolist()), set(split[30:].tolist())
        expected = walked(ranked.tolist(), positives, junk)
        assert average_precision(ranked, positives, junk) == pytest.approx(expected, abs=1e-12)


def test_rectangles_agree_with_scikit_learn(rng):
    found, expected = [], []
    for _ in range(50):
        scores = rng.normal(size=40)  # no ties: they are ranked by chance here, together there
        truth = rng.random(40) < 0.2
        truth[rng.integers(40)] = True
        ranked, positives = np.argsort(-scores), np.flatnonzero(truth)
        expected.append(average_precision_score(truth, scores))
        found.append(average_precision(ranked, positives, kind='rectangle'))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_rectangles_agree_with_the_sum_over_recall_steps(rng):
    """The formula of scikit-learn's manual, AP = sum (R_n - R_n-1) P_n, over every threshold."""
    for _ in range(50):
        ranked = rng.permutation(40)
        positives = rng.choice(40, rng.integers(1, 9), replace=False)
        hits = np.cumsum(np.isin(ranked, positives))
        recall, precision = hits / len(positives), hits / np.arange(1, 41)
        expected = np.sum(np.diff(recall, prepend=0.0) * precision)
        found = average_precision(ranked, positives, kind='rectangle')
        assert found == pytest.approx(expected, abs=1e-12)


def test_mean_is_over_the_queries_that_have_an_answer():
    ranked = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0]])
    score = score_rankings(ranked, [{0}, set(), {1}])
    np.testing.assert_allclose(score.average_precision, [1.0, np.nan, 0.25])
    assert (score.queries, score.answerable) == (3, 2)
    assert score.mean_average_precision == 0.625
    assert mean_average_precision(ranked, [{0}, set(), {1}]) == 0.625
    assert mean_average_precision(ranked, [set()] * 3) is None


def test_precision_at_k_asks_for_no_more_than_there_is():
    ranked = [4, 9, 5, 8, 7, 6]
    assert precision_at(ranked, {4, 5}, k=1) == 1.0
    assert precision_at(ranked, {4, 5}, k=2) == 0.5
    assert precision_at(ranked, {4, 5}, k=5) == 2 / 3  # the last positive is third
    assert precision_at(ranked, {4, 5}, {9}, k=5) == 1.0  # and second without the junk
    assert precision_at(ranked, {4, 5, 99}, k=5) == 2 / 5  # the last one is not even listed
    assert np.isnan(precision_at(ranked, set(), k=5))


def test_revisited_protocol_by_hand():
    # Query 0: hard 1, easy 0, wrong 4, junk 3, easy 2. Query 1 has hard images alone.
    ranked = np.array([[1, 0, 4, 3, 2], [0, 1, 2, 3, 4]])
    easy, hard, junk = [[0, 2], []], [[1], [1]], [[3], []]
    found = revisited(ranked, easy, hard, junk)
    # Easy: 1 and 3 are junk, so 0 4 2 is left: ranks 1 and 3.
    assert found['easy'].average_precision[0] == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2)
    # Medium: 1 0 4 2: ranks 1, 2 and 4.
    assert found['medium'].average_precision[0] == pytest.approx((1 + 1 + (2 / 3 + 3 / 4) / 2) / 3)
    # Hard: 0, 2 and 3 are junk, so 1 4 is left: rank 1.
    assert found['hard'].average_precision[0] == 1.0
    # Query 1: no easy image, and 1 is second among five for the other two.
    assert np.isnan(found['easy'].average_precision[1])
    assert found['medium'].average_precision[1] == found['hard'].average_precision[1] == 0.25
    assert [found[name].answerable for name in ('easy', 'medium', 'hard')] == [1, 2, 2]
    assert found['hard'].mean_average_precision == pytest.approx((1 + 0.25) / 2)
    # mP@1, 5, 10. Medium: 1 and 0; then 3 of 4 and 1 of 2.
    assert found['easy'].mean_precision_at == pytest.approx({1: 1.0, 5: 2 / 3, 10: 2 / 3})
    assert found['medium'].mean_precision_at == pytest.approx({1: 0.5, 5: 0.625, 10: 0.625})
    assert found['hard'].mean_precision_at == pytest.approx({1: 0.5, 5: 0.75, 10: 0.75})


def test_nonsense_is_refused():
    with pytest.raises(NetvladError, match='twice'):
        average_precision([1, 1], {1})
    with pytest.raises(NetvladError, match='trapezoid'):
        average_precision([1], {1}, kind='middle')
    with pytest.raises(NetvladError, match='2 rankings come with 1 sets of positives'):
        score_rankings([[1], [2]], [{1}])
    with pytest.raises(NetvladError, match='one value a query'):
        bootstrap_interval(np.zeros((3, 2)))
    with pytest.raises(NetvladError, match='confidence'):
        bootstrap_interval([1.0, 2.0], confidence=95)
    with pytest.raises(NetvladError, match='no pairs'):
        paired_difference([1.0, 2.0], [1.0])


def test_the_bootstrap_of_two_values_is_known():
    """Draws of (0, 1): mean 0, 1/2, 1 with probability 1/4, 1/2, 1/4."""
    assert bootstrap_interval([0, 1, np.nan], confidence=0.4).low == 0.5
    wide = bootstrap_interval([0, 1, np.nan], confidence=0.6)
    assert (wide.estimate, wide.low, wide.high) == (0.5, 0.0, 1.0)
    assert bootstrap_interval([0.5]) is None
    assert bootstrap_interval([np.nan, np.nan]) is None


def test_the_bootstrap_agrees_with_scipy(rng):
    from scipy import stats

    values = rng.random(60)
    theirs = stats.bootstrap((values,), np.median, method='percentile', n_resamples=9999)
    ours = bootstrap_interval(values, np.median, repeats=9999)
    assert ours.estimate == np.median(values)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)
    assert ours == bootstrap_interval(values, np.median, repeats=9999)
    assert ours != bootstrap_interval(values, np.median, repeats=9999, seed=1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says(rng):
    draws = rng.random((300, 60)) < 0.7  # hits of 60 queries, recall 0.7
    intervals = [bootstrap_interval(draw, seed=i, repeats=500) for i, draw in enumerate(draws)]
    covered = np.mean([interval.low <= 0.7 <= interval.high for interval in intervals])
    assert 0.90 <= covered <= 0.98


def test_pairs_tell_what_single_intervals_cannot(rng):
    hardness = rng.random(200)
    better, worse = hardness + 0.02 + rng.normal(0, 0.01, 200), hardness
    alone = bootstrap_interval(better), bootstrap_interval(worse)
    assert alone[0].low < alone[1].high  # they overlap
    paired = paired_difference(better, worse)
    assert 0.015 < paired.low < paired.estimate < paired.high < 0.025
    assert paired_difference(worse, worse).high == 0.0
    with_hole = np.where(np.arange(200) == 3, np.nan, worse)
    kept = np.arange(200) != 3
    assert paired_difference(better, with_hole) == paired_difference(better[kept], worse[kept])
