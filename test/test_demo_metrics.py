"""Metrics of the demonstration: true poses, stamps, and when it has to fail."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.place_map.place_map import PlaceMap

pytest.importorskip('netvlad_ros_msgs', reason='the messages are not built: run make setup')

from netvlad_ros.demo.collector import ReceivedMatch, ReceivedPrior
from netvlad_ros.demo.demo_metrics import score_answers


def at(x: float) -> np.ndarray:
    T = np.eye(4)
    T[0, 3] = x
    return T


@pytest.fixture
def place_map() -> PlaceMap:
    """Ten places, a metre apart, seen by a camera half a metre ahead of the base."""
    return PlaceMap.create(
        model_id='0' * 64,
        frame_id='map',
        descriptors=np.eye(10, dtype=np.float32),
        recordings=['one'] * 10,
        stamps_ns=np.arange(10),
        images=[f'{i}.jpg' for i in range(10)],
        T_map_cam=np.array([at(float(i)) for i in range(10)]),
        T_base_cam=at(0.5),
        base_frame='base_link',
        camera_frame='camera',
    )


def answers(truth: dict[int, float], *, best: dict[int, int], priors: dict[int, float]):
    """Truth: x of the camera; best: place answered; priors: x of the base. Stamp = 100 + index."""
    matches = {
        100 + i: ReceivedMatch(
            'accepted' if i in priors else 'no_match', '', (best[i],), 0.5, '', 9.0
        )
        for i in truth
        if i in best
    }
    received = {100 + i: ReceivedPrior(at(x), 'map', 9.0) for i, x in priors.items()}
    return SimpleNamespace(
        matches=matches,
        priors=received,
        initial_poses=dict(list(received.items())[:1]),
        diagnostics={},
    )


def scored(place_map, truth, **kwargs):
    published = [(i, 100 + i) for i in truth]
    return score_answers(
        published, {i: at(x) for i, x in truth.items()}, place_map, answers(truth, **kwargs)
    )


def test_a_good_drive_passes_with_the_error_of_the_base(place_map):
    truth = {0: 2.1, 1: 5.0, 2: 30.0}
    metrics = scored(place_map, truth, best={0: 2, 1: 5, 2: 7}, priors={0: 1.8, 1: 4.5})
    metrics.check_answers()
    metrics.check_localization()
    values = metrics.values
    assert (values['answerable'], values['recall_at_1'], values['never_mapped']) == (2, 1.0, 1)
    assert values['pose_error_m']['median'] == pytest.approx(0.1)  # 0.2 m and 0 m
    assert values['accepted_wrong'] == 0


@pytest.mark.parametrize(
    ('best', 'priors', 'complaint'),
    [
        ({0: 9, 1: 5, 2: 7}, {0: 1.6}, 'recall@1 is 0.5'),
        ({0: 2, 1: 5, 2: 7}, {0: 1.6, 2: 6.5}, 'never mapped'),
        ({0: 2, 1: 5}, {0: 1.6}, '1 of 3 images were never answered'),
        ({0: 2, 1: 5, 2: 7}, {0: 9.6}, '1 priors were wrong'),
        ({0: 2, 1: 5, 2: 7}, {}, 'no pose prior'),
    ],
)
def test_a_drive_that_is_not_localized_fails_with_the_reason(place_map, best, priors, complaint):
    metrics = scored(place_map, {0: 2.1, 1: 5.0, 2: 30.0}, best=best, priors=priors)
    with pytest.raises(NetvladError, match=complaint):
        metrics.check_localization()


def test_answers_must_carry_the_stamps_of_published_images(place_map):
    collected = answers({0: 2.0}, best={0: 2}, priors={})
    collected.matches[55] = collected.matches[100]
    with pytest.raises(NetvladError, match='1 answers carry a stamp'):
        score_answers([(0, 100)], {0: at(2.0)}, place_map, collected).check_answers()


def test_silence_is_a_failure_even_without_truth(place_map):
    collected = answers({}, best={}, priors={})
    with pytest.raises(NetvladError, match='not one was answered'):
        score_answers([(0, 100)], {}, place_map, collected).check_answers()
