"""The judge, on maps and pairs so small that every number can be worked out by hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tiny_bag import raw_image, write_bag
from tiny_drive import picture, pose, pose_line, write_drive, write_image
from tiny_model import write_tiny_model

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.localizer_config import LocalizerConfig
from netvlad_ros.core.model.bundle import ModelBundle
from netvlad_ros.offline.drives.open_drive import open_drive
from netvlad_ros.offline.drives.pairs_file import read_pairs
from netvlad_ros.offline.evaluation.drive_evaluation import evaluate_map
from netvlad_ros.offline.evaluation.pairs_evaluation import evaluate_pairs, report_pairs
from netvlad_ros.offline.evaluation.pairs_localization import decide_pairs
from netvlad_ros.offline.evaluation.pairs_ranking import rank_pairs
from netvlad_ros.offline.evaluation.unmapped_evaluation import evaluate_unmapped
from netvlad_ros.offline.mapping.map_builder import MapBuilder
from netvlad_ros.offline.metrics.bootstrap import block_bootstrap_interval, block_length


@pytest.fixture(scope='module')
def bundle(tmp_path_factory) -> ModelBundle:
    path = write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.onnx')
    return ModelBundle.load(path, device='cpu', threads=1)


@pytest.fixture
def place_map(tmp_path, bundle):
    """Pictures 0 to 3 at x = 0, 10, 20, 30 m, each taken twice.

    Half of the steps are 0 m long, so the map counts as dense and no place borders on another.
    """
    poses = [pose(10 * (i // 2)) for i in range(8)]
    drive = write_drive(tmp_path / 'mapped', poses, seeds=[i // 2 for i in range(8)])
    return MapBuilder(tmp_path / 'map').build(open_drive(drive), bundle)


def queries(tmp_path):
    """Four images past the map.

    0: picture 0 seen at 0.5 m: right. 1: picture 1 at 10 m, turned by 30 degrees. 2: much of
    picture 3 and some of 2, at 20 m: the best match is 10 m off, the right place comes second. 3:
    picture 2 at 100 m, where nothing was mapped.
    """
    poses = [pose(0.5), pose(10, yaw_deg=30), pose(20), pose(100)]
    folder = write_drive(tmp_path / 'query', poses, seeds=[0, 1, 3, 2])
    mixed = np.round(0.8 * picture(3) + 0.2 * picture(2)).astype(np.uint8)
    write_image(folder / 'images' / '002.png', mixed)
    return open_drive(folder)


def test_by_distance(tmp_path, bundle, place_map):
    result = evaluate_map(place_map, bundle, queries(tmp_path), radius_m=1.0)
    assert (result['queries'], result['answerable']) == (4, 3)
    assert result['recall'] == {'1': pytest.approx(2 / 3), '5': 1.0, '10': 1.0}
    assert result['recall_all'] == {'1': 0.5, '5': 0.75, '10': 0.75}
    # Equal pictures have the cosine 1, so all four are accepted, two of them far off the truth.
    assert (result['accepted'], result['accepted_wrong']) == (4, 2)
    assert (result['ambiguous'], result['no_match'], result['skipped']) == (0, 0, 0)
    # Errors 0, 0.5, 10, 80 m: the median lies between the middle ones, p90 at 10 + 0.7 * 70.
    assert result['pose_error_m'] == {'median': pytest.approx(5.25), 'p90': pytest.approx(59.0)}
    assert result['pose_error_deg'] == {
        'median': pytest.approx(0.0, abs=1e-6),
        'p90': pytest.approx(21.0),  # 0, 0, 0, 30
    }
    assert result['map_id'] == place_map.map_id
    assert (result['radius_m'], result['angle_deg']) == (1.0, None)
    assert result['ms_per_image'] > 0
    json.dumps(result, allow_nan=False)


def test_by_distance_and_angle(tmp_path, bundle, place_map):
    result = evaluate_map(
        place_map, bundle, queries(tmp_path), radius_m=1.0, angle_deg=20.0, selection=slice(0, 3)
    )
    assert (result['queries'], result['answerable']) == (3, 2)  # the turned one has no answer
    assert result['recall'] == {'1': 0.5, '5': 1.0, '10': 1.0}
    assert result['recall_all'] == {
        '1': pytest.approx(1 / 3),
        '5': pytest.approx(2 / 3),
        '10': pytest.approx(2 / 3),
    }
    assert (result['accepted'], result['accepted_wrong']) == (3, 2)


def test_the_maps_own_images_are_no_queries(tmp_path, bundle, place_map):
    """A copy by another name is the same recording; other images of it are judged when asked."""
    drive = shutil.copytree(tmp_path / 'mapped', tmp_path / 'copy')
    lines = (drive / 'poses.csv').read_text()
    more = [('images/008.png', 0.5, 0), ('images/009.png', 20, 2)]
    for i, (name, x, seed) in enumerate(more):
        write_image(drive / name, picture(seed))
        lines += pose_line(name, 50 + i, pose(x)) + '\n'
    (drive / 'poses.csv').write_text(lines)
    copy = open_drive(drive)
    with pytest.raises(NetvladError, match=r'8 of the 10 images .* places of the map .*--same-rec'):
        evaluate_map(place_map, bundle, copy)
    with pytest.raises(NetvladError, match=r'1 of the 2 images .* they show nothing of elsewhere'):
        evaluate_unmapped(place_map, bundle, copy, selection=slice(7, 9))
    assert copy.skipped == ()
    asked = evaluate_map(place_map, bundle, copy, same_recording=True)
    assert (asked['queries'], asked['skipped'], asked['same_recording']) == (2, 8, True)
    sliced = evaluate_map(place_map, bundle, open_drive(drive), selection=slice(8, None))
    assert (sliced['queries'], sliced['skipped'], sliced['same_recording']) == (2, 0, True)
    assert sliced['recall'] == asked['recall'] == {'1': 1.0, '5': 1.0, '10': 1.0}
    with pytest.raises(NetvladError, match='no image is left'):
        evaluate_map(place_map, bundle, copy, selection=slice(0, 8), same_recording=True)
    # Another camera at the same moments of a wall clock: the same recording, yet other images.
    then = place_map.stamps_ns + 10**18
    rig = replace(place_map, stamps_ns=then)
    lines = (drive / 'poses.csv').read_text()
    lines = lines.replace('.png,1.', '.png,1000000001.').replace('.png,5', '.png,100000005')
    (drive / 'poses.csv').write_text(lines)
    for i in range(8):
        write_image(drive / f'images/00{i}.png', picture(60 + i))
    with pytest.raises(NetvladError, match=r'8 of the 10 images .* by another camera'):
        evaluate_map(rig, bundle, open_drive(drive))
    rear = evaluate_map(rig, bundle, open_drive(drive), same_recording=True)
    assert (rear['queries'], rear['same_recording']) == (10, True)
    other = evaluate_map(place_map, bundle, queries(tmp_path))  # the same stamps, another drive
    assert (other['same_recording'], other['identical_images']) == (False, 3)


def test_strangers_are_not_accepted(tmp_path, bundle, place_map):
    drive = write_drive(tmp_path / 'elsewhere', [pose(0), pose(10)], seeds=[77, 78])
    result = evaluate_map(place_map, bundle, open_drive(drive))
    assert (result['accepted'], result['no_match']) == (0, 2)
    assert result['pose_error_m'] == {'median': None, 'p90': None}


def test_neighbours_are_drawn_together(rng):
    """Runs of 10 images that succeed or fail together: their number counts, not that of images."""
    truth, inside = 0.7, {1: 0, 30: 0}
    for _ in range(100):
        drive = np.repeat(rng.random(80) < truth, 10).astype(float)
        drive[::7] = np.nan
        for block in inside:
            interval = block_bootstrap_interval(drive, block, repeats=200)
            inside[block] += interval.low <= truth <= interval.high
    assert inside[30] > 85  # 95, were the blocks many and much longer than the runs
    assert inside[1] < 60
    stamps = np.arange(800) * 500_000_000
    assert (block_length(stamps), block_length(stamps[:30]), block_length(stamps[:1])) == (20, 6, 1)
    assert block_bootstrap_interval([1, np.nan, np.nan], 2) is None
    median = block_bootstrap_interval([1, np.nan, 3, 5], 2, 'median')
    assert (median.low, median.estimate, median.high) == (1, 3, 4)
    with pytest.raises(NetvladError, match='blocks of 1 or more'):
        block_bootstrap_interval([1.0, 2.0], 0)


def test_unreadable_queries_are_counted(tmp_path, bundle, place_map):
    drive = queries(tmp_path)
    (tmp_path / 'query' / 'images' / '002.png').write_bytes(b'')
    skipped = []
    result = evaluate_map(place_map, bundle, drive, skipped=skipped)
    assert (result['queries'], result['skipped'], len(skipped)) == (3, 1, 1)


def test_what_does_not_fit_together_is_refused(tmp_path, bundle, place_map):
    drive = queries(tmp_path)
    other = ModelBundle.load(write_tiny_model(tmp_path / 'other.onnx', seed=1), device='cpu')
    with pytest.raises(NetvladError, match='was built with the model'):
        evaluate_map(place_map, other, drive)
    with pytest.raises(NetvladError, match="in the frame 'odom', the map's in 'map'"):
        evaluate_map(place_map, bundle, open_drive(tmp_path / 'query', map_frame='odom'))
    with pytest.raises(NetvladError, match='above 0'):
        evaluate_map(place_map, bundle, drive, radius_m=0.0)
    with pytest.raises(NetvladError, match='no image is left'):
        evaluate_map(place_map, bundle, drive, selection=slice(9, None))


@pytest.fixture
def pairs(tmp_path):
    """Images a to f; b looks like a, d like c, and f like a although f is paired with e."""
    for name, seed in zip('abcdef', (0, 0, 1, 1, 2, 0), strict=True):
        write_image(tmp_path / 'images' / f'{name}.png', picture(seed))
    lines = ['query,db', *('images/{}.png,images/{}.png'.format(*pair) for pair in PAIRS)]
    (tmp_path / 'pairs.csv').write_text('\n'.join(lines) + '\n')
    return tmp_path


PAIRS = ['ba', 'dc', 'fe', 'db', 'aa']  # the last one is a mistake in the file


def test_pairs(pairs, bundle):
    result = rank_pairs(pairs, bundle).to_json()
    # Queries a, b, d, f; database a, b, c, e. a has only itself, which is no answer. b finds a,
    # d finds c, f finds a and b before e.
    assert (result['queries'], result['answerable'], result['database']) == (4, 3, 4)
    assert result['recall'] == {'1': pytest.approx(2 / 3), '5': 1.0, '10': 1.0}
    assert result['recall_all'] == {'1': 0.5, '5': 0.75, '10': 0.75}
    assert (result['accepted'], result['pose_error_m']['median']) == (None, None)
    assert (result['skipped'], result['both_sides']) == (0, 2)
    assert result['intervals'].keys() == {'recall@1', 'recall@5', 'recall@10'}


def test_no_pair_is_ranked_deeper_than_another(tmp_path, bundle):
    for i in range(20):
        write_image(tmp_path / f'images/{i:02d}.png', picture(i))
    lines = ['query,db', *(f'images/{(i + 1) % 20:02d}.png,images/{i:02d}.png' for i in range(20))]
    (tmp_path / 'pairs.csv').write_text('\n'.join(lines) + '\n')
    ranked = rank_pairs(tmp_path, bundle)
    assert {len(places) for places in ranked.ranked} == {10}  # whoever is in the database, too


def test_pairs_within_slices(pairs, bundle):
    result = rank_pairs(pairs, bundle, queries=slice(3, 6), database=slice(0, 3)).to_json()
    # Queries d, f of d, e, f, as e is none; database a, b, c; e is gone, so f has no answer.
    assert (result['queries'], result['answerable'], result['database']) == (2, 1, 3)
    assert result['recall'] == {'1': 1.0, '5': 1.0, '10': 1.0}
    assert result['recall_all'] == {'1': 0.5, '5': 0.5, '10': 0.5}


def test_pairs_skip_unreadable_images(pairs, bundle):
    (pairs / 'images' / 'c.png').write_bytes(b'')
    ranked = rank_pairs(pairs, bundle)
    result = ranked.to_json()
    assert (result['database'], result['skipped'], len(ranked.skipped)) == (3, 1, 1)
    with pytest.raises(NetvladError, match='0 queries'):
        rank_pairs(pairs, bundle, queries=slice(50, 60))


@pytest.mark.parametrize(
    ('text', 'complaint'),
    [
        ('a,b\n', 'must begin with the line "query,db"'),
        ('query,db\n', 'names no pair'),
        ('query,db\na.png\n', 'line 2: 1 values instead of 2'),
        ('query,db\na.png,b.png\n../a.png,b.png\n', 'line 3: .* not a path inside the folder'),
    ],
)
def test_broken_pairs_are_refused(tmp_path, text, complaint):
    (tmp_path / 'pairs.csv').write_text(text)
    with pytest.raises(NetvladError, match=complaint):
        read_pairs(tmp_path / 'pairs.csv')


def test_a_model_without_local_features_cannot_rerank(tmp_path, bundle):
    (tmp_path / 'pairs.csv').write_text('query,db\na.png,b.png\n')
    with pytest.raises(NetvladError, match='answers no local features, by which candidates'):
        rank_pairs(tmp_path, bundle, reranked=True)


def test_corridor_second_lap_in_the_first(shared_data, model_path):
    if not model_path.is_file():
        pytest.skip(f'no model at {model_path}')
    bundle = ModelBundle.load(model_path)
    result = rank_pairs(
        shared_data / 'corridor_loop',
        bundle,
        queries=slice(40, 80),
        database=slice(0, 40),
        reranked=True,
    ).to_json()
    assert (result['queries'], result['answerable']) == (40, 40)
    assert result['recall']['1'] >= 0.95
    assert result['recall_reranked']['1'] >= 0.95  # by local features too, as the robot does
    assert 'recall@1_reranked' in result['intervals']


def test_kitchen_second_half_in_the_first(tmp_path, shared_data, model_path):
    if not model_path.is_file():
        pytest.skip(f'no model at {model_path}')
    bundle = ModelBundle.load(model_path)
    drive = open_drive(shared_data / 'redkitchen')
    place_map = MapBuilder(tmp_path / 'map').build(drive, bundle, selection=slice(0, 500, 2))
    result = evaluate_map(
        place_map, bundle, drive, selection=slice(500, 1000, 10), radius_m=0.5, angle_deg=30.0
    )
    assert result['answerable'] == pytest.approx(32, abs=3)
    assert result['recall']['1'] >= 0.85  # a half and a tenth of the images; all of them: 0.90
    assert np.isfinite(result['pose_error_m']['median'])


WAYS = {
    'accepted',
    'accepted_wrong',
    'wrong_per_1000',
    'methods',
    'percentiles_m',
    'nees',
    'ece',
    'percentiles_deg',
    'reliability',
    'recall_at_100_precision',
    'first_fix',
    'ms',
    'recall',
}


def test_both_ways_are_judged_and_drawn(tmp_path, bundle, place_map):
    out = tmp_path / 'out'
    out.mkdir()
    result = evaluate_map(place_map, bundle, queries(tmp_path), radius_m=1.0, pictures=out)
    assert result.keys() >= WAYS
    assert result['sequence'].keys() >= WAYS
    assert result['wrong_per_1000'] == 500.0
    assert result['methods'] == {'landmarks': 0, 'relative_poses': 0, 'map_images': 4}
    assert result['percentiles_m']['max'] == pytest.approx(80.0)
    # Errors of 10 m and 80 m are far outside 0.2 m; those of 0.5 m and 30 degrees are not.
    assert result['nees']['share_in_95'] == 0.5
    assert result['first_fix'] == {'frames': 1, 'seconds': 0.0, 'wrong_before': 0}
    # Within 1 m and 45 degrees of a place stand all but the last; the third is answered wrongly.
    assert result['answerable_places'] == 3
    assert result['ece'] == pytest.approx(0.5, abs=0.01)
    assert sum(row['count'] for row in result['reliability']) == 4
    json.dumps(result, allow_nan=False)
    for name in ('precision_recall.png', 'reliability.png', 'errors.png'):
        assert read_image(out / name).std() > 10


def test_without_belief_a_sequence_is_its_images(tmp_path, bundle, place_map):
    config = LocalizerConfig(belief=False, verification=False)
    result = evaluate_map(place_map, bundle, queries(tmp_path), config=config)
    assert result['sequence'] == {key: result[key] for key in result['sequence']}


def test_an_unmapped_drive_needs_no_poses(tmp_path, bundle, place_map):
    for name, seed in (('a', 50), ('b', 0), ('c', 51)):  # b was mapped after all
        write_image(tmp_path / 'elsewhere' / 'deep' / f'{name}.png', picture(seed))
    elsewhere = open_drive(tmp_path / 'elsewhere', without_poses=True)
    result = evaluate_unmapped(place_map, bundle, elsewhere, config=LocalizerConfig(belief=False))
    assert (result['images'], result['accepted'], result['no_match']) == (3, 1, 2)
    assert (result['accepted_images'], result['accepted_wrong']) == (['deep/b.png'], 1)
    assert result['wrong_per_1000'] == pytest.approx(1000 / 3)
    assert result['highest_probability'] > 0.95
    assert result['sequence'].keys() >= {'accepted', 'wrong_per_1000', 'highest_probability'}
    with pytest.raises(NetvladError, match='is no drive'):
        open_drive(tmp_path / 'elsewhere')


def test_an_unmapped_bag_needs_no_poses(tmp_path, bundle, place_map):
    images = [('/image', 10**9 * i, raw_image(10**9 * i, picture(50 + i))) for i in range(1, 4)]
    bag = write_bag(tmp_path / 'bag', images)
    elsewhere = open_drive(bag, without_poses=True)
    result = evaluate_unmapped(place_map, bundle, elsewhere)
    assert (result['images'], result['accepted'], result['skipped']) == (3, 0, 0)
    with pytest.raises(NetvladError, match='no poses'):
        open_drive(bag)


def test_pairs_are_decided(pairs, bundle, tmp_path):
    # Queries d, e and f in a map of a, b and c: d looks like c, which is right; e like nothing; f
    # like a and b, whereas its only right image is gone.
    slices = {'queries': slice(3, 6), 'database': slice(0, 3)}
    with (tmp_path / 'pairs.csv').open('a') as lines:
        lines.write('images/e.png,images/a.png\n')
    out = tmp_path / 'out'
    out.mkdir()
    evaluation = evaluate_pairs(pairs, bundle, decide=LocalizerConfig(), **slices)
    report_pairs(pairs, evaluation, evaluation.to_json(), {}, out)
    result = evaluation.decided.to_json()
    assert len(result['settings']) == 4
    alone = result['settings']['no verification, no belief']
    assert (alone['accepted'], alone['accepted_wrong']) == (2, 1)
    assert result['sequence'].keys() >= {'accepted', 'accepted_wrong', 'wrong_per_1000'}
    assert result['mapped'] == 3
    assert read_image(out / 'precision_recall.png').std() > 10
    json.dumps(result, allow_nan=False)
    with pytest.raises(NetvladError, match=r'3 images, images/a\.png first, are queries and in'):
        decide_pairs(pairs, bundle)
    # Positions of features would be of another camera, so the map goes without it, and says so.
    write_image(tmp_path / 'images' / 'b.png', picture(0, 96, 128))
    decided = decide_pairs(pairs, bundle, **slices)
    assert decided.to_json()['mapped'] == 2
    assert list(decided.skipped) == [('images/b.png', 'of another size than the first')]
