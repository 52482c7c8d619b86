"""Every method finds the shifted and dimmed copies of its own images, and says what it costs."""

from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.benchmarks.benchmark import Benchmark
from netvlad_ros.offline.comparison.comparison_table import table
from netvlad_ros.offline.comparison.leaderboard import Leaderboard
from netvlad_ros.offline.comparison.separate_process import compare_method
from netvlad_ros.offline.methods.extraction_cache import ExtractionCache
from netvlad_ros.offline.methods.global_descriptors.feature_maps import FeatureMaps
from netvlad_ros.offline.methods.global_descriptors.pooled_maps import squares
from netvlad_ros.offline.methods.global_descriptors.product_quantisation import CodeIndex
from netvlad_ros.offline.methods.global_descriptors.reranking import ExpandingIndex, ReciprocalIndex
from netvlad_ros.offline.methods.global_descriptors.seqslam import StampIndex
from netvlad_ros.offline.methods.method import ImageSet, MethodContext, ranked
from netvlad_ros.offline.methods.recipe import unit
from netvlad_ros.offline.methods.registry import METHODS, chosen_methods, open_method
from netvlad_ros.offline.methods.visual_words import posting_lists
from netvlad_ros.offline.methods.visual_words.asmk import AsmkIndex
from netvlad_ros.offline.methods.visual_words.bag_of_words import BagOfWords, _pairs
from netvlad_ros.offline.methods.visual_words.fisher import Fisher, Mixture
from netvlad_ros.offline.methods.visual_words.hamming_embedding import SignatureIndex
from netvlad_ros.offline.methods.visual_words.local_source import DenseSift, SparseSift
from netvlad_ros.offline.methods.visual_words.vlad import Vlad

PLACES = 8
CONTEXT = MethodContext(threads=1)
ALWAYS = {  # bytes of what every place has, whatever it shows
    'netvlad': 4 * 2048,
    'netvlad-qe': 4 * 2048,
    'netvlad-pq': 256 * 2 / 8,  # 256 parts; 8 places allow 4 centres, 2 bits
    'thumbnail': 4 * 64 * 32,
    'hog': 4 * 11 * 15 * 4 * 9,
    'vlad': 4 * 64 * 128,
    'vlad-intra': 4 * 64 * 128,
    'densevlad': 4 * 128 * 128,
    'fisher': 4 * 2 * 64 * 64,
    'mac': 4 * 96,
    'spoc': 4 * 96,
    'crow': 4 * 96,
    'rmac': 4 * 96,
    'gem': 4 * 96,
    'seqslam': 4 * 64 * 32,
}


def textured(seed: int) -> np.ndarray:
    """A scene of overlapping bright and dark shapes, uint8 (216, 288, 3)."""
    rng = np.random.default_rng(seed)
    rgb = np.full((216, 288, 3), rng.integers(60, 200, 3), np.uint8)
    for _ in range(90):
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        x, y, w, h = (int(value) for value in rng.integers((-10, -10, 8, 8), (280, 210, 60, 50)))
        if rng.random() < 0.5:
            cv2.rectangle(rgb, (x, y), (x + w, y + h), colour, -1)
        else:
            cv2.ellipse(rgb, (x, y), (w, h), float(rng.uniform(0, 180)), 0, 360, colour, -1)
    return cv2.GaussianBlur(rgb, (0, 0), 0.8)


@pytest.fixture(scope='module')
def sides(tmp_path_factory):
    folder = tmp_path_factory.mktemp('places')
    database, queries = [], []
    for place in range(PLACES):
        scene = textured(place)
        # Six pixels aside, three down, a third darker.
        aside = (0.67 * scene[3:203, 6:272]).astype(np.uint8)
        for paths, name, rgb in (
            (database, 'db', scene[:200, :266]),
            (queries, 'query', aside),
        ):
            paths.append(folder / f'{name}{place:02}.png')
            cv2.imwrite(str(paths[-1]), rgb)
    return ImageSet(database), ImageSet(queries)


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return ExtractionCache(tmp_path_factory.mktemp('extractions'))


@pytest.mark.parametrize('name', METHODS)
def test_a_method_finds_its_own_images_again_twice_the_same(name, sides, cache):
    method = open_method(name, replace(CONTEXT, cache=cache))
    first, second = (method.rank(*sides, 3, lambda done, total: None) for _ in range(2))
    assert first.indices.shape == first.scores.shape == (PLACES, 3)
    start = 1 if name == 'seqslam' else 0  # the first image is no sequence yet
    assert first.indices[start:, 0].tolist() == list(range(start, PLACES))
    assert np.array_equal(first.indices, second.indices)
    assert np.array_equal(first.scores, second.scores)
    assert (np.diff(first.scores, axis=1) <= 0).all()
    assert set(first.seconds) == {'fit', 'describe_per_image', 'search_per_query'}
    assert first.bytes_per_place == ALWAYS.get(name, first.bytes_per_place)


def test_words_are_counted_as_postings(sides, cache):
    recipe = BagOfWords(SparseSift(cache), seed=0, verified=1)
    recipe.fit(sides[0])
    bags = [recipe.describe(rgb) for rgb in sides[0]]
    index = recipe.index(bags)
    distinct = sum(len(set(bag.words.tolist())) for bag in bags)
    features = sum(len(bag.words) for bag in bags)
    assert index.bytes_per_place == pytest.approx((8 * distinct + 12 * features) / PLACES)
    assert BagOfWords(SparseSift(cache), 0).verified == 0
    [own] = list(index.rows(bags[:1]))
    assert own[0] > 8  # all of its features are inliers of itself
    assert own[1:].max() <= 1  # a cosine alone: only the first place was verified


@pytest.mark.parametrize(
    'make',
    [
        lambda cache: SparseSift(cache).extract,
        lambda cache: DenseSift(cache).extract,
        lambda cache: FeatureMaps(replace(CONTEXT, cache=cache)).read,
    ],
    ids=['sparse', 'dense', 'maps'],
)
def test_what_is_kept_is_what_would_be_made(make, sides, tmp_path):
    plain, kept = ExtractionCache(), ExtractionCache(tmp_path)
    rgb = sides[0][0]
    anew, source = make(plain), make(kept)
    answers = [anew(rgb), source(rgb), source(rgb)]
    for answer in answers[1:]:
        for array, first in zip(answer, answers[0], strict=True):
            assert np.array_equal(array, first)
    assert len(list(tmp_path.iterdir())) == 1


def test_an_extraction_costs_each_the_same_and_a_full_cache_keeps_nothing_more(tmp_path):
    rgb = np.zeros((20, 30, 3), np.uint8)
    runs = []

    def slow():
        runs.append(1)
        time.sleep(0.05)
        return (np.arange(100),)

    cache = ExtractionCache(tmp_path, most_bytes=1500)
    charged = []
    for kind in ('a', 'a', 'a', 'b', 'b'):  # the second kind finds no room
        before = cache.clock()
        assert cache.of(kind, rgb, slow)[0].tolist() == list(range(100))
        charged.append(cache.clock() - before)
    assert charged == pytest.approx([charged[0]] * 3 + [charged[3], charged[4]], abs=1e-3)
    assert min(charged) >= 0.05
    assert len(runs) == 1 + 2
    before = ExtractionCache(tmp_path)
    before.of('a', rgb, slow)
    assert len(runs) == 4  # a process makes one of each kind, so that its memory is counted


def naive_vlad(found, words):
    sums = np.zeros_like(words)
    for row in found:
        word = np.argmin(((words - row) ** 2).sum(axis=1))
        sums[word] += row - words[word]
    return sums


def test_vlad_and_fisher_are_those_of_the_papers(sides, cache):
    source = SparseSift(cache)
    found = source.extract(sides[0][0])[1]
    vlad = Vlad(source, 0, words=8)
    vlad.fit(sides[0])
    sums = naive_vlad(found, vlad._vocabulary.words)
    assert vlad.describe(sides[0][0]) == pytest.approx(
        unit((np.sign(sums) * np.sqrt(np.abs(sums))).ravel()), abs=1e-5
    )
    fisher = Fisher(source, 0, components=4, local_dim=8)
    fisher.fit(sides[0])
    mixture = fisher._mixture
    # Sanchez et al., IJCV 2013, equations 17 and 18, feature by feature.
    first, second = np.zeros((2, 4, 8))
    for row in (found - fisher._centre) @ fisher._axes:
        [shares] = mixture.shares(row[np.newaxis])
        for k in range(4):
            scaled = (row - mixture.means[k]) / np.sqrt(mixture.variances[k])
            first[k] += shares[k] * scaled / np.sqrt(mixture.weights[k])
            second[k] += shares[k] * (scaled**2 - 1) / np.sqrt(2 * mixture.weights[k])
    gradient = np.concatenate([first, second]).ravel()
    by_hand = unit(np.sign(gradient) * np.sqrt(np.abs(gradient)))
    assert fisher.describe(sides[0][0]) == pytest.approx(by_hand, abs=1e-5)


def test_the_inverted_file_is_searched_as_feature_by_feature(rng, monkeypatch):
    monkeypatch.setattr(posting_lists, 'AT_ONCE', 50)  # in many parts
    dim, words = 72, 6  # no whole number of 64

    def image(features):
        chosen = np.sort(rng.choice(words, features, replace=False))
        return chosen, np.packbits(rng.random((features, dim)) < 0.4, axis=1)

    places = [image(features) for features in (4, 0, 6, 3)] * 8
    queries = [image(5), image(0)]
    index = AsmkIndex(places, words, dim)
    for (word_of, bits), scores in zip(queries, index.rows(queries), strict=True):
        by_hand = np.zeros(len(places))
        for row, (theirs, their_bits) in enumerate(places):
            for i, j in zip(*np.nonzero(word_of[:, None] == theirs), strict=True):
                apart = np.unpackbits(bits[i] ^ their_bits[j]).sum()
                by_hand[row] += max(1 - 2 * apart / dim, 0) ** 3
            by_hand[row] /= np.sqrt(max(len(word_of), 1) * max(len(theirs), 1))
        assert scores == pytest.approx(by_hand)


def test_pairs_share_a_word_that_is_rare_in_both():
    query, other = np.array([7, 3, 3, 9, 9, 9, 9, 5]), np.array([3, 9, 7, 3, 1, 7])
    assert _pairs(query, other).tolist() == [[1, 0], [1, 3], [2, 0], [2, 3], [0, 2], [0, 5]]
    assert _pairs(query[:0], other).shape == (0, 2)


def test_signatures_match_within_the_threshold():
    zeros, near, far = (np.packbits(np.arange(64) < ones)[None] for ones in (0, 24, 25))
    word = np.zeros(1, np.int64)
    other = np.ones(1, np.int64)
    index = SignatureIndex([(word, near), (word, far), (other, zeros)], words=2)
    assert index.bytes_per_place == 12
    [scores] = index.rows([(word, zeros)])
    assert scores == pytest.approx([np.log(3 / 2) ** 2, 0, 0])


def test_a_mixture_of_two_far_clouds_is_found(rng):
    x = np.concatenate([rng.normal(-5, 1, (600, 2)), rng.normal(5, [1, 2], (200, 2))])
    mixture = Mixture.fitted(x, 2, seed=0)
    order = np.argsort(mixture.means[:, 0])
    assert mixture.weights[order] == pytest.approx([0.75, 0.25], abs=0.01)
    assert mixture.means[order] == pytest.approx(np.array([[-5, -5], [5, 5]]), abs=0.3)
    assert mixture.variances[order] == pytest.approx(np.array([[1, 1], [1, 4]]), rel=0.3)
    assert mixture.shares(x).sum(axis=1) == pytest.approx(1)


def test_the_squares_of_rmac_are_those_of_the_paper():
    found = squares(30, 40)
    assert {side for _, _, side in found} == {30, 20, 15}
    assert all(top + side <= 30 and left + side <= 40 for top, left, side in found)
    assert [side for *_, side in found].count(30) == 2  # overlapping by 20 of 30
    assert len(squares(30, 30)) == 1 + 4 + 9


def test_expansion_leans_towards_the_neighbours():
    vectors = unit(np.array([[1, 0.2, 0], [1, -0.1, 0.9], [0, 0, 1], [0, 1, 0]]))
    [plain] = [vectors @ unit(np.array([1.0, 0, 0]))]
    [expanded] = ExpandingIndex(list(vectors)).rows([unit(np.array([1.0, 0, 0]))])
    weights = np.maximum(plain, 0) ** 3
    by_hand = vectors @ unit(np.array([1.0, 0, 0]) + weights @ vectors)
    assert expanded == pytest.approx(by_hand, abs=1e-3)
    assert expanded[2] > plain[2] == 0


def test_who_is_near_by_chance_falls_behind_mutual_neighbours(rng):
    own, crowd = unit(np.eye(16)[:2])
    clouds = unit(
        np.concatenate(
            [own + 0.15 * rng.normal(size=(24, 16)), crowd + 0.02 * rng.normal(size=(24, 16))]
        )
    )
    # A member of the crowd comes nearer to the query than half of the query's own cloud.
    query = unit(own + 0.4 * crowd)
    stray = unit(crowd + 0.85 * own)
    database = [*clouds, stray]
    plain = np.array(database) @ query
    assert (plain[:24] < plain[48]).any()
    [similarity] = ReciprocalIndex(database).rows([query])
    assert similarity[:24].min() > similarity[24:].max()


def test_places_are_known_by_their_mutual_neighbours_and_by_theirs(rng):
    """Zhong et al., CVPR 2017, equations 3 to 5, set by set."""
    vectors = unit(rng.normal(size=(60, 8)))
    near = np.argsort(-(vectors @ vectors.T), axis=1)

    def mutual(row, k):
        return {other for other in near[row, : k + 1] if row in near[other, : k + 1]}

    index = ReciprocalIndex(list(vectors))
    for row in range(60):
        own = mutual(row, 20)
        taken = [s for s in (mutual(other, 10) for other in own) if 3 * len(s & own) > 2 * len(s)]
        assert set(index._single[[row]].indices.tolist()) == own.union(*taken)


@pytest.mark.parametrize('name', ['netvlad-pq', 'netvlad-reciprocal', 'fisher', 'bow', 'asmk'])
def test_a_handful_of_images_is_a_database_or_one_sentence(name, sides, cache):
    method = open_method(name, replace(CONTEXT, cache=cache))
    for count in (1, 2, 4):
        database = ImageSet(sides[0].paths[:count])
        try:
            ranking = method.rank(
                database, ImageSet(sides[1].paths[:1]), 5, lambda done, total: None
            )
        except NetvladError as error:
            assert name == 'netvlad-pq' and f'{count} images are too few' in str(error)
        else:
            assert ranking.indices[0, :count].max() == count - 1


def test_codes_are_as_long_as_the_database_allows(rng):
    many = unit(rng.normal(size=(600, 32)))
    assert CodeIndex(many, 0).bytes_per_place == 4  # a byte for every 8 dimensions
    with pytest.raises(NetvladError, match='3 images are too few'):
        CodeIndex(many[:3], 0)


def test_sequences_beat_single_images_where_these_are_ambiguous(rng):
    drive = rng.normal(size=(60, 128)).astype(np.float32)
    again = drive[10:40] + 4.0 * rng.normal(size=(30, 128)).astype(np.float32)
    order = np.arange(30)
    scores = np.array(list(StampIndex(drive).rows(list(again))))
    found = scores.argmax(axis=1)
    alone = np.abs(again[:, None] - drive).mean(axis=2).argmin(axis=1)
    late = order[10:]
    assert (np.abs(found - (order + 10)) <= 1)[late].mean() > (alone == order + 10)[late].mean()


def test_queries_that_are_not_listed_by_time_are_searched_by_time(sides):
    method = open_method('seqslam', CONTEXT)
    database, queries = sides
    plain = method.rank(database, queries, 3, lambda done, total: None)
    back = np.arange(PLACES)[::-1]
    listed = ImageSet([queries.paths[row] for row in back], order=back)
    ranking = method.rank(database, listed, 3, lambda done, total: None)
    assert np.array_equal(ranking.indices[back], plain.indices)
    assert np.array_equal(ranking.scores[back], plain.scores)


def test_short_databases_are_filled_up_and_ties_keep_their_order():
    indices, scores = ranked([np.array([0.5, 0.5, 0.9])], 4)
    assert indices.tolist() == [[2, 0, 1, -1]]
    assert scores[0, 3] == -np.inf


def test_a_box_is_what_a_query_shows(sides):
    path = sides[0].paths[0]
    [cropped] = ImageSet([path], [(10.0, 20.0, 60.0, 80.0)])
    assert np.array_equal(cropped, read_image(path)[20:80, 10:60])
    with pytest.raises(NetvladError, match='encloses nothing'):
        ImageSet([path], [(10.0, 20.0, 10.0, 80.0)])[0]


def test_a_bundle_is_a_method_by_its_path(sides, cache, model_path):
    method = open_method(str(model_path), replace(CONTEXT, cache=cache))
    assert method.name == 'mobilenetv2_edgepoint2_netvlad_2048.onnx'
    ranking = method.rank(*sides, 1, lambda done, total: None)
    assert ranking.indices[:, 0].tolist() == list(range(PLACES))
    with pytest.raises(NetvladError, match=r'nowhere\.onnx'):
        open_method('nowhere.onnx', CONTEXT)


def test_unknown_methods_are_told_what_is_known():
    with pytest.raises(NetvladError, match=r"'nonsense' is no method; known are netvlad.*seqslam"):
        chosen_methods('netvlad,nonsense')
    assert chosen_methods('all') == list(METHODS)
    assert chosen_methods('hog, x/y.onnx,hog') == ['hog', 'x/y.onnx']


def test_image_retrieval_is_judged_by_average_precision_without_junk(sides):
    database, queries = (side.paths for side in sides)
    # To the first query its own copy is junk, and the third of its list is right.
    positives = [np.array([i]) for i in range(PLACES)]
    ranks = METHODS['hog'](CONTEXT).rank(*sides, PLACES, lambda done, total: None).indices
    positives[0] = ranks[0, 2:3]
    junk = (ranks[0, :1], *[np.empty(0, np.int64)] * (PLACES - 1))
    holidays = Benchmark('holidays', 'mAP', database, queries, tuple(positives), junk)
    metrics, _ = compare_method('hog', holidays, CONTEXT, lambda done, total: None)
    # Third of the list, second without junk: trapezoids give (0 + 1/2) / 2.
    mean = (PLACES - 1 + 0.25) / PLACES
    assert metrics['retrieval']['all']['mean_average_precision'] == pytest.approx(mean)
    assert metrics['recall']['1'] == pytest.approx((PLACES - 1) / PLACES)
    assert metrics['found_at_1'] == [0.0] + [1.0] * (PLACES - 1)
    heads, row = table(Leaderboard(['holidays'], ['hog'], [{**metrics, 'benchmark': 'holidays'}]))
    assert 'mAP' in heads and f'{100 * mean:.1f}' in row
