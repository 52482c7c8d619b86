"""Supervision: positives, negatives, classes and the split; calibration and augmentation."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from tiny_drive import picture, pose, write_drive, write_image  # noqa: E402
from tiny_places import clip_images, place_images  # noqa: E402

from netvlad_ros.core.errors import NetvladError  # noqa: E402
from netvlad_ros.core.model.preprocessing import Preprocessing  # noqa: E402
from netvlad_ros.training.config.sections import AugmentationConfig, SupervisionConfig  # noqa: E402
from netvlad_ros.training.config.source import Source  # noqa: E402
from netvlad_ros.training.data.augmentation import Augmentation  # noqa: E402
from netvlad_ros.training.data.augmented_images import StepImages  # noqa: E402
from netvlad_ros.training.data.fourier_transfer import fourier_transfer  # noqa: E402
from netvlad_ros.training.data.night import night  # noqa: E402
from netvlad_ros.training.data.season import season  # noqa: E402
from netvlad_ros.training.data.step_plan import ImageKey  # noqa: E402
from netvlad_ros.training.data.supervision import Supervision  # noqa: E402
from netvlad_ros.training.data.validation_split import held_out  # noqa: E402
from netvlad_ros.training.fitting.domain_balance import balanced_weights  # noqa: E402
from netvlad_ros.training.fitting.similarity_calibration import BestMatches, fit_calibration  # noqa: E402


def everyone(supervision):
    return np.arange(len(supervision))


def negatives(supervision, query):
    return np.flatnonzero(supervision.is_negative(query, everyone(supervision))).tolist()


# --- positives and negatives --------------------------------------------------------------------


def test_positions_decide_by_distance_and_heading():
    line = [[0, 0], [4, 0], [9, 0], [20, 0], [60, 0]]
    images = place_images(
        positions_m=line, headings_deg=[10, 350, 190, np.nan, 0], recordings='abcde'
    )
    any_view = Supervision([images], SupervisionConfig())
    assert any_view.positives(0).tolist() == [1, 2]
    assert negatives(any_view, 0) == [4]  # 20 m is neither
    assert any_view.without_positive.tolist() == [3, 4]
    config = SupervisionConfig(positive_radius_m=25.0, positive_heading_deg=30.0)
    same_view = Supervision([images], config)
    assert same_view.positives(0).tolist() == [1, 3]  # 10 and 350 are 20 apart; unknown may be


def test_single_images_know_their_pairs_and_are_held_out_with_them():
    chain = [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2]]
    single = replace(place_images('air', places=range(6)), pairs=np.array(chain))
    other = place_images('street', positions_m=[[0, 0], [1, 0]], recordings='ab')
    config = SupervisionConfig()
    supervision = Supervision([other, single], config)
    assert supervision.positives(3).tolist() == [2, 4]
    assert negatives(supervision, 2) == [0, 1, 5, 6, 7]  # the pair of a pair is neither
    assert supervision.domains.tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert supervision.cells()[0].tolist()[2:6] == [-1] * 4
    training, _ = Supervision([single], config).split(config)
    assert training.queries.tolist() == [0, 1, 2, 3]
    alone = Supervision([replace(single, pairs=single.pairs[:0])], config)
    assert not len(alone.split(config)[0].queries)  # usable with mining.places: all
    units = [m.tolist() for m in held_out([single], SupervisionConfig(validation_share=0.2))]
    assert len(set(units[0][:4])) == 1


def test_one_moment_is_no_revisit_and_multi_visit_wants_another_recording():
    images = place_images(
        positions_m=[[0, 0], [0.1, 0], [1, 0], [2, 0]], times_s=[0, 0.2, 3, 0.1], recordings='aaab'
    )
    config = SupervisionConfig()
    assert Supervision([images], config).positives(0).tolist() == [2, 3]
    paper = Supervision([images], replace(config, multi_visit=True))
    assert paper.positives(0).tolist() == [3]
    assert paper.is_same_visit(0, np.arange(4)).tolist() == [True, True, True, False]


def test_clips_decide_by_time_and_only_other_floors_with_other_areas_are_negatives():
    rows = [('a', 0, 'f1', 'hall'), ('a', 1, 'f1', 'hall'), ('a', 5, 'f1', 'hall'),
            ('a', 6, 'f1', 'hall'), ('b', 1, 'f2', 'hall'), ('c', 1, 'f1', 'room'),
            ('d', 1, 'f2', 'room')]  # fmt: skip
    supervision = Supervision([clip_images(rows)], SupervisionConfig())
    assert supervision.positives(0).tolist() == [1, 2]
    assert negatives(supervision, 0) == [6]
    look = np.flatnonzero(supervision.may_be_similar(0, everyone(supervision)))
    assert look.tolist() == [4, 6]
    assert supervision.queries.tolist() == [0, 1, 2, 3]


def test_labels_decide_where_there_are_some():
    images = place_images(places=[7, 7, 9, -1], positions_m=np.zeros((4, 2)), recordings='abcd')
    supervision = Supervision([images], SupervisionConfig())
    assert supervision.positives(0).tolist() == [1]
    assert negatives(supervision, 0) == [2]
    assert supervision.positives(2).tolist() == []


def test_queries_and_database_stay_apart():
    images = place_images(
        positions_m=np.zeros((4, 2)),
        recordings='abcd',
        is_query=[1, 1, 0, 0],
        is_database=[0, 0, 1, 1],
    )
    supervision = Supervision([images], SupervisionConfig())
    assert supervision.positives(0).tolist() == [2, 3]
    again = replace(images, images=(*images.images[:3], images.images[0]))
    assert Supervision([again], SupervisionConfig()).positives(0).tolist() == [2]  # the same file
    assert supervision.queries.tolist() == [0, 1] and supervision.database.tolist() == [2, 3]


def test_sources_are_sure_negatives_unless_they_share_an_area(tmp_path):
    poses = [pose(x=3.0 * i) for i in range(3)]
    for name in ('monday', 'friday', 'elsewhere'):
        write_drive(tmp_path / name, poses)
    sources = [Source(path=str(tmp_path / 'monday'), area='campus'),
               Source(path=str(tmp_path / 'friday'), area='campus'),
               Source(path=str(tmp_path / 'elsewhere'))]  # fmt: skip
    config = SupervisionConfig(multi_visit=True)
    supervision = Supervision.load(sources, config)
    assert supervision.positives(0).tolist() == [3, 4, 5]
    assert negatives(supervision, 0) == [6, 7, 8]
    assert supervision.without_positive.tolist() == [6, 7, 8]
    assert '3 queries have no positive: 000.png, 001.png, 002.png' in supervision.summary()
    with pytest.raises(NetvladError, match="two sources are called 'monday'"):
        Supervision.load([sources[0], sources[0]], config)
    with pytest.raises(NetvladError, match='needs a path'):
        Source().read()


def test_clips_and_positions_of_two_sources_do_not_mix():
    clips = clip_images([('a', 0, 'f1', 'hall'), ('a', 2, 'f1', 'hall')])
    drive = place_images('drive', positions_m=[[0, 0, 0], [1, 0, 0]], recordings='xy')
    supervision = Supervision([clips, drive], SupervisionConfig())
    assert [supervision.positives(i).tolist() for i in range(4)] == [[1], [0], [3], [2]]
    assert negatives(supervision, 0) == [2, 3] and negatives(supervision, 2) == [0, 1]
    visits = replace(drive, recordings=np.array(['x', 'x']))
    paper = Supervision([clips, visits], SupervisionConfig(multi_visit=True))
    assert [paper.positives(i).tolist() for i in range(4)] == [[1], [0], [], []]


# --- classes and the split ----------------------------------------------------------------------


def test_cells_are_labels_positions_with_heading_or_spans_of_time():
    posed = place_images(
        'posed',
        positions_m=[[1, 1, 0.1], [9, 9, -0.1], [11, 1, 0], [1, 1, 0]],
        headings_deg=[5, 25, 5, 95],
        recordings='abcd',
    )
    clips = clip_images(
        [('a', 0, 'f', 'h'), ('a', 4, 'f', 'h'), ('a', 5, 'f', 'h'), ('b', 0, 'f', 'h')]
    )
    labelled = place_images('labelled', places=[3, -1, 3])
    labels, groups = Supervision([posed, clips, labelled], SupervisionConfig()).cells()
    assert groups.tolist() == [0] * 7 and labels[9] == -1 and set(labels) == {-1, *range(7)}
    assert labels[0] == labels[1] and len(set(labels[:4])) == 3
    assert labels[4] == labels[5] and len(set(labels[4:8])) == 3
    assert labels[8] == labels[10]


def test_cells_of_one_group_are_never_neighbours():
    rng = np.random.default_rng(0)
    at = rng.uniform(-80, 80, (2000, 3)) * (1, 1, 0.2)
    turn = np.where(rng.random(2000) < 0.1, np.nan, rng.uniform(-180, 540, 2000))
    images = place_images(positions_m=at, headings_deg=turn, recordings=range(2000))
    clips = clip_images([('a', s, 'f', 'h') for s in range(60)])
    whole = Supervision([images, clips], SupervisionConfig())
    config = SupervisionConfig(cell_groups=3, cell_heading_groups=2)
    labels, groups = Supervision([images, clips], config).cells()
    assert (labels == whole.cells()[0]).all()
    keys = {}  # of each class: where its cell lies
    for label, (x, y, z), h in zip(labels, at, turn, strict=False):
        heading = None if np.isnan(h) else int(h % 360 // 30)
        key = (int(x // 10), int(y // 10), round(z / 10), heading)
        assert keys.setdefault(label, key) == key
    assert len(keys) > 1000
    posed = sorted(keys)
    for one in posed[::10]:
        for two in posed:
            if one != two and groups[one] == groups[two]:
                *a, turn_a = keys[one]
                *b, turn_b = keys[two]
                apart = np.abs(np.subtract(a, b))
                assert (apart % 3 == 0).all()
                if (apart == 0).all():
                    assert None not in (turn_a, turn_b)
                    assert 2 <= (turn_a - turn_b) % 12 <= 10
    spans = groups[labels[2000::5]]
    assert all(spans[i] == spans[i + 3] and len(set(spans[i : i + 3])) == 3 for i in range(9))


def floors(count=6):
    rows = [(f'c{f}', s, f'floor{f}', f'area{f}') for f in range(count) for s in range(0, 8, 2)]
    return clip_images(rows)


def test_split_holds_out_floors_whole_and_says_what_it_cannot():
    supervision = Supervision([floors()], SupervisionConfig())
    named = SupervisionConfig(validation_areas=('floor1', 'floor4'))
    training, validation = supervision.split(named)
    assert len(training) == 16 and set(validation.recordings) == {'c1', 'c4'}
    shared = SupervisionConfig(validation_share=0.34)
    training, validation = supervision.split(shared)
    assert len(validation) == 8 and not set(training.recordings) & set(validation.recordings)
    again = supervision.split(shared)[1]
    assert again.images == validation.images
    assert len(supervision.split(SupervisionConfig())[1]) == 0
    with pytest.raises(NetvladError, match="names 'f9', which has no images; there are floor0"):
        supervision.split(SupervisionConfig(validation_areas=('f9',)))
    with pytest.raises(NetvladError, match='none of the 24 training queries has a positive'):
        supervision.split(replace(named, validation_areas=(), positive_gap_min_s=90.0,
                                  positive_gap_max_s=99.0))  # fmt: skip
    with pytest.raises(NetvladError, match='none of the 0 training queries'):
        supervision.split(SupervisionConfig(validation_areas=('clips',)))


def test_clusters_and_whitening_are_fitted_on_the_sources_that_suit_them():
    at = np.array([[0.0, 0.0], [1.0, 0.0]])
    real = place_images('real', positions_m=at)
    rendered = replace(place_images('rendered', positions_m=at), fitted=False)
    both = Supervision([rendered, real], SupervisionConfig())
    assert both.fitted.images == real.images and both.fitted.positives(0).tolist() == [1]
    with pytest.raises(NetvladError, match='every source says fitted: false'):
        _ = Supervision([rendered], SupervisionConfig()).fitted
    assert len(both.queries) == 4


def test_split_by_marked_source_by_city_and_by_whole_recordings():
    at = np.zeros((4, 2))
    drive = place_images('drive', positions_m=at, recordings='aabb', times_s=[0, 5, 0, 5])
    marked = replace(place_images('mine', positions_m=at, recordings='abcd'), validation=True)
    both = Supervision([drive, marked], SupervisionConfig())
    training, validation = both.split(SupervisionConfig())
    assert {p.name[:5] for p in training.images} == {'drive'}
    assert [source.name for source in validation.sources] == ['mine']
    cities = place_images('msls', positions_m=at, recordings='abcd',
                          areas=['msls/sf', 'msls/sf', 'msls/cph', 'msls/cph'])  # fmt: skip
    training, validation = Supervision([cities], SupervisionConfig()).split(
        SupervisionConfig(validation_areas=('cph',))
    )
    assert set(training.areas) == {'msls/sf'} and set(validation.areas) == {'msls/cph'}
    one = Supervision([drive], SupervisionConfig()).split(SupervisionConfig(validation_share=0.5))
    assert [len(np.unique(side.recordings)) for side in one] == [1, 1]
    alone = Supervision([place_images('x', positions_m=at)], SupervisionConfig())
    with pytest.raises(NetvladError, match='validation_share needs several'):
        alone.split(SupervisionConfig(validation_share=0.5))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'positive_gap_min_s': 9}, 'positive_gap_min_s is larger'),
        ({'positive_radius_m': 99}, 'positive_radius_m is larger'),
        ({'cell_m': 0}, 'cell_m is 0.0, outside'),
        ({'cell_heading_groups': 5}, 'does not divide the 12 directions'),
        ({'validation_floor': []}, "unknown setting 'validation_floor'"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(NetvladError, match=message):
        SupervisionConfig.of(settings, 'supervision')


def test_a_hundred_thousand_images_are_quick_and_small():
    rng = np.random.default_rng(0)
    count = 100_000
    # As dense as a street in Pittsburgh: some 30 images within 10 m.
    positions = rng.uniform(0, 1000, (count, 2))
    images = place_images(
        positions_m=positions, recordings=rng.integers(0, 50, count).astype(str),
        times_s=np.arange(count), headings_deg=rng.uniform(0, 360, count),
    )  # fmt: skip
    config = SupervisionConfig(positive_heading_deg=45.0)
    supervision = Supervision([images], config)
    supervision.positives(0)
    queries = rng.integers(0, count, 300)
    start = time.process_time()
    found = [supervision.positives(int(query)) for query in queries]
    each = (time.process_time() - start) / len(queries)
    assert each < 1e-3
    query = int(queries[0])
    step = np.linalg.norm(positions - positions[query], axis=1)
    turn = np.abs((images.headings_deg - images.headings_deg[query] + 180) % 360 - 180)
    near = np.flatnonzero((step <= 10) & (turn <= 45))
    assert found[0].tolist() == [i for i in near if i != query]
    assert supervision.is_negative(query, np.arange(count)).sum() == (step > 25).sum()


# --- calibration --------------------------------------------------------------------------------


def unit_rows(rng, count, dim=16):
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_best_matches_of_clips_are_those_of_the_matrix_of_all_pairs():
    rng = np.random.default_rng(0)
    rows = [(f'c{c}', s, f'f{c % 4}', f'a{c % 3}') for c in range(12) for s in range(7)]
    supervision = Supervision([clip_images(rows)], SupervisionConfig())
    descriptors = unit_rows(rng, len(rows))
    clip, second, floor, area = (np.array(column) for column in zip(*rows, strict=True))
    similarity = descriptors @ descriptors.T
    other_floor = floor[:, None] != floor[None]
    elsewhere = np.where(other_floor & (area[:, None] != area[None]), similarity, -1).max(1)
    gap = np.abs(second[:, None] - second[None])
    near = (clip[:, None] == clip[None]) & (gap >= 1) & (gap <= 5)
    revisit = np.where(near, similarity, -1).max(1)
    found = BestMatches.find(descriptors, supervision)
    np.testing.assert_allclose(found.right, revisit[revisit > elsewhere], atol=1e-6)
    lost = (revisit <= elsewhere) & (revisit > -1)
    np.testing.assert_allclose(found.wrong, np.r_[elsewhere, elsewhere[lost]], atol=1e-6)
    np.testing.assert_allclose(
        found.lookalike, np.where(other_floor, similarity, -1).max(1), atol=1e-6
    )


def test_best_matches_of_positions_keep_queries_and_database_apart():
    images = place_images(positions_m=[[0, 0], [1, 0], [99, 0]], recordings='abc',
                          is_query=[1, 0, 0], is_database=[0, 1, 1])  # fmt: skip
    descriptors = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    found = BestMatches.find(descriptors, Supervision([images], SupervisionConfig()))
    np.testing.assert_allclose(found.right, [0.6], atol=1e-6)
    np.testing.assert_allclose(found.wrong, [0.0], atol=1e-6)
    near = images.subset(np.array([0, 1]))  # no image of another place: no wrong match, not -1
    assert not len(BestMatches.find(descriptors, Supervision([near], SupervisionConfig())).wrong)


def test_calibration_weighs_domains_equally():
    rng = np.random.default_rng(0)
    right, wrong = rng.normal(0.6, 0.1, 990), rng.normal(0.1, 0.1, 990)
    few = rng.normal(0.8, 0.1, 110), rng.normal(0.5, 0.1, 110)
    both = [np.concatenate(pair) for pair in zip((right, wrong), few, strict=True)]
    weights = balanced_weights(np.repeat([0, 1], [990, 110]))
    found = fit_calibration(BestMatches(*both, both[1], (weights,) * 3))
    repeated = [np.concatenate([a, *[b] * 9]) for a, b in zip((right, wrong), few, strict=True)]
    expected = fit_calibration(BestMatches(*repeated, repeated[1]))
    assert found.midpoint == pytest.approx(expected.midpoint, abs=0.01)
    assert found.slope == pytest.approx(expected.slope, rel=0.02)
    assert found.midpoint > fit_calibration(BestMatches(*both, both[1])).midpoint + 0.1


def test_calibration_is_conservative():
    rng = np.random.default_rng(0)
    right, wrong = rng.normal(0.6, 0.1, 500), rng.normal(0.1, 0.1, 500)
    plain = fit_calibration(BestMatches(right, wrong, wrong))
    assert plain.midpoint == pytest.approx(0.35, abs=0.05)
    guarded = fit_calibration(BestMatches(right, wrong, rng.normal(0.4, 0.05, 500)))
    assert guarded.midpoint == pytest.approx(0.48, abs=0.03)
    with pytest.raises(NetvladError, match='no more similar'):
        fit_calibration(BestMatches(wrong, right, right))
    with pytest.raises(NetvladError, match='calibration needs held-out images with a revisit'):
        fit_calibration(BestMatches(right, wrong[:0], wrong[:0]))


# --- augmentation -------------------------------------------------------------------------------

SIZE = Preprocessing(64, 96)
ONLY = AugmentationConfig(strength=1.0, **{
    name: 0.0 for name in AugmentationConfig().to_dict() if name != 'strength'
})  # fmt: skip


def augmented(config, rgb, seed=0):
    torch.manual_seed(seed)
    return Augmentation(config, SIZE)(rgb)


def test_augmentation_is_seeded_has_the_working_size_and_can_be_off():
    rgb = picture(3, 120, 160)
    first, second = augmented(AugmentationConfig(), rgb), augmented(AugmentationConfig(), rgb)
    assert first.shape == (64, 96, 3) and first.dtype == torch.uint8
    assert torch.equal(first, second)
    assert not torch.equal(first, augmented(AugmentationConfig(), rgb, seed=1))
    resized = torch.from_numpy(SIZE(rgb))
    assert torch.equal(augmented(AugmentationConfig(strength=0.0), rgb), resized)
    untouched = augmented(ONLY, rgb).int() - resized.int()
    assert untouched.abs().max() <= 1  # every part at zero: the warp is the identity


@pytest.mark.parametrize(
    ('part', 'value'),
    [
        ('perspective', 0.2), ('crop', 0.5), ('stretch', 0.3), ('rotation_deg', 10.0),
        ('brightness', 0.5), ('contrast', 0.5), ('saturation', 0.5), ('hue', 0.1), ('gamma', 1.0),
        ('warmth', 0.3), ('gradient', 0.6), ('grayscale_share', 1.0), ('blur_share', 1.0),
        ('occlusion_share', 1.0), ('night_share', 1.0), ('season_share', 1.0),
    ],
)  # fmt: skip
def test_each_part_changes_the_image_by_itself(part, value):
    rgb = picture(3, 64, 96)
    config = replace(ONLY, **{part: value})
    assert (augmented(config, rgb, seed=2).int() - torch.from_numpy(rgb).int()).abs().max() > 5


def test_low_frequencies_of_a_stranger_are_those_of_the_whole_transform():
    image, other = picture(3, 64, 96), picture(4, 64, 96) // 2
    own, given = (np.fft.fft2(pixels, axes=(0, 1)) for pixels in (image, other))
    window = np.zeros((64, 96, 1), dtype=bool)
    window[np.ix_(np.arange(-6, 7), np.arange(-6, 7))] = True
    size = np.where(window, 0.25 * np.abs(own) + 0.75 * np.abs(given), np.abs(own))
    expected = np.fft.ifft2(size * np.exp(1j * np.angle(own)), axes=(0, 1)).real.clip(0, 255)
    found = fourier_transfer(image, other, 0.1, 0.75)
    np.testing.assert_allclose(found, expected, atol=0.51)


def test_strangers_are_of_another_domain_and_a_share_of_zero_draws_nothing(tmp_path):
    for number, level in enumerate((200, 200, 200, 40)):
        write_image(tmp_path / f'{number}.png', np.full((64, 96, 3), level, dtype=np.uint8))
    files = [tmp_path / f'{number}.png' for number in range(4)]
    domains = np.array([0, 0, 0, 1])

    def first(config, of=domains):
        images = StepImages(files, Augmentation(config, SIZE), 0, of)
        return images[ImageKey(0, 0, 0)], torch.rand(()).item()

    moved, _ = first(replace(ONLY, fourier_share=1.0))
    assert 40 <= moved.mean() < 195  # the amplitude at frequency 0 is the brightness
    alone, _ = first(replace(ONLY, fourier_share=1.0), np.zeros(4, dtype=np.int64))
    assert abs(alone.mean() - 200) <= 1
    today = AugmentationConfig()
    beyond = replace(today, fourier_beta=0.1)  # without a share: no draw
    assert first(today)[1] == first(beyond)[1] == first(today, np.zeros(4, dtype=np.int64))[1]


def test_night_is_dark_and_snow_is_bright():
    lawn = np.full((96, 128, 3), (80, 130, 60), dtype=np.uint8)
    lawn[:48] = (150, 180, 220)
    torch.manual_seed(0)
    nights = [night(lawn).mean() for _ in range(8)]
    assert np.median(nights) < 0.7 * lawn.mean()
    seasons = [season(lawn)[60:].mean((0, 1)) for _ in range(16)]
    white = [colour for colour in seasons if np.ptp(colour) < 30 and colour.mean() > 150]
    autumn = [colour for colour in seasons if colour[0] > 1.05 * colour[1]]
    assert len(white) >= 4 and len(autumn) >= 4


def test_noise_and_light_do_what_they_are_called():
    grey = np.full((64, 96, 3), 128, dtype=np.uint8)
    noisy = augmented(replace(ONLY, noise=20.0, noise_share=1.0), grey).float()
    assert 0.5 < noisy.std() < 21.0 and noisy.mean() == pytest.approx(128, abs=1)
    lit = augmented(replace(ONLY, gradient=0.8), grey).float().mean(dim=2)
    corners = torch.stack([lit[0, 0], lit[0, -1], lit[-1, 0], lit[-1, -1]])
    assert corners.max() - corners.min() > 10  # one side is darker than the other
    assert lit.mean() == pytest.approx(128, abs=1)
