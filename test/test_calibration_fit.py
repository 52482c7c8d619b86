"""Fitting a map's calibration, on samples drawn from known laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from netvlad_ros.core.model.metadata import SimilarityCalibration
from netvlad_ros.core.place_map.calibration import MapCalibration
from netvlad_ros.offline.mapping.calibration_fit import (
    CalibrationSamples,
    calibration_quality,
    even_blocks,
    fit_map_calibration,
    normalised_errors,
    probability,
)
from netvlad_ros.offline.mapping.covariance_fit import fit_covariance, independent_count

OF_MODEL = SimilarityCalibration(midpoint=0.5, slope=20.0)
TRUE = MapCalibration(midpoint=0.58, slope=35.0, inlier_midpoint=np.log(25.0), inlier_slope=3.0)
FLOOR = np.array([0.08] * 3 + [np.radians(1.5)] * 3)
TOLD = np.array([0.02] * 3 + [np.radians(0.3)] * 3)


def draw(rng, count, method='landmarks', *, truth=TRUE, tails=False):
    """Samples whose probabilities and errors follow a law; tails: every tenth error is triple."""
    factor = 1.0 + 2.0 * (rng.random((count, 1)) < 0.1) if tails else np.ones((count, 1))
    residuals = rng.standard_normal((count, 6)) * np.hypot(FLOOR, TOLD) * factor
    similarity = rng.uniform(0.4, 0.8, count)
    inliers = rng.integers(0, 100, count)
    samples = CalibrationSamples(
        similarity=similarity,
        inliers=inliers,
        without_pose=np.zeros(count, dtype=bool),
        rivals=rng.exponential(0.02, count),
        right=np.zeros(count, dtype=bool),
        method=np.full(count, method),
        residuals=residuals,
        covariance=np.tile(np.diag(TOLD**2), (count, 1, 1)),
    )
    samples.right[:] = rng.random(count) < probability(samples, truth, OF_MODEL)
    samples.residuals[~samples.right] += 10.0  # another place
    return samples


def test_probability_becomes_consistent_on_unseen_images(rng):
    fitted = fit_map_calibration(draw(rng, 500), OF_MODEL)
    unseen = draw(rng, 4000)
    before = calibration_quality(unseen, MapCalibration(), OF_MODEL, 0.95)
    after = calibration_quality(unseen, fitted, OF_MODEL, 0.95)
    assert before.expected_error > 0.05
    assert after.expected_error < 0.03
    assert fitted.images == 500


@pytest.mark.parametrize('tails', [False, True])
def test_covariances_become_consistent_on_unseen_images(rng, tails):
    fitted = fit_map_calibration(draw(rng, 600, tails=tails), OF_MODEL)
    unseen = draw(rng, 4000, tails=tails)
    errors = normalised_errors(unseen[unseen.right], fitted)
    assert 0.93 <= np.mean(errors <= chi2(6).ppf(0.95)) <= 0.985
    published = np.sqrt(np.diag(fitted.covariance('landmarks', np.diag(TOLD**2))))
    # 96 % of the errors must lie where 95 % of consistent ones would: 13.20 / 12.59 without tails;
    # with a tenth of them tripled, the quantile is 55.9.
    expected = np.sqrt((55.9 if tails else 13.20) / 12.59)
    assert published / np.hypot(FLOOR, TOLD) == pytest.approx(np.full(6, expected), rel=0.15)


def test_what_is_published_is_judged(rng):
    """Correlated covariances are published as a larger diagonal: see diagonal_bound()."""
    samples = draw(rng, 3)
    samples.covariance[:, 0, 1] = samples.covariance[:, 1, 0] = 0.5 * TOLD[0] ** 2
    unscaled = MapCalibration(
        scale={'landmarks': 1.0}, sigma_m={'landmarks': 0.0}, sigma_deg={'landmarks': 0.0}
    )
    variances = TOLD**2 * [1.5, 1.5, 1, 1, 1, 1]
    expected = (samples.residuals**2 / variances).sum(axis=1)
    assert normalised_errors(samples, unscaled) == pytest.approx(expected)


def test_a_drive_where_all_is_right_teaches_no_certainty(rng):
    samples = draw(rng, 200)
    samples.right[:] = True
    samples.residuals[:] = FLOOR
    fitted = fit_map_calibration(samples, OF_MODEL)
    # Whatever is accepted by itself was so before: easy images say nothing of hard ones.
    accepted = OF_MODEL.midpoint + np.log(19) / OF_MODEL.slope
    assert fitted.midpoint >= OF_MODEL.midpoint
    assert fitted.midpoint + np.log(19) / fitted.slope >= accepted - 1e-9
    assert fitted.inlier_midpoint >= MapCalibration().inlier_midpoint
    assert 3 < fitted.inlier_slope < 20
    stated = probability(samples, fitted, OF_MODEL)
    assert stated.max() < 1.0


def test_a_drive_elsewhere_teaches_caution_and_nothing_of_covariances(rng):
    samples = draw(rng, 200)
    samples.right[:] = False
    fitted = fit_map_calibration(samples, OF_MODEL)
    stated = probability(samples, fitted, OF_MODEL)
    assert np.all(stated <= probability(samples, MapCalibration(), OF_MODEL) + 1e-9)
    assert np.mean(stated) < 0.05
    assert (fitted.scale, fitted.sigma_m) == (MapCalibration().scale, MapCalibration().sigma_m)


def test_a_method_with_few_estimates_keeps_its_defaults(rng):
    sure = MapCalibration(midpoint=-1.0, slope=100.0)
    many, few = (draw(rng, n, m, truth=sure) for n, m in ((100, 'map_images'), (19, 'landmarks')))
    columns = zip(vars(many).values(), vars(few).values(), strict=True)
    samples = CalibrationSamples(*map(np.concatenate, columns))
    samples.inliers[:] = -1
    samples.similarity[:] = 0.75
    fitted, default = fit_map_calibration(samples, OF_MODEL), MapCalibration()
    assert fitted.scale['map_images'] != default.scale['map_images']
    assert fitted.sigma_m['map_images'] == 0.0  # they have a floor of their own
    for name in ('scale', 'sigma_m', 'sigma_deg'):
        assert getattr(fitted, name)['landmarks'] == getattr(default, name)['landmarks']


def test_the_scale_is_a_quantile_with_room_for_the_unseen(rng):
    samples = draw(rng, 39, 'map_images')
    samples.residuals[~samples.right] -= 10.0
    samples.right[:] = True
    samples.similarity[:] = 0.9
    samples.inliers[:] = -1
    fitted = fit_map_calibration(samples, OF_MODEL)
    raw = np.sort((samples.residuals**2 / TOLD**2).sum(axis=1))
    quantile = raw[38] / chi2(6).ppf(0.95)  # of 39
    assert quantile <= fitted.scale['map_images'] < 1.25 * quantile  # wider: 39 are few


def test_images_that_resemble_each_other_count_once(rng):
    many = np.repeat(rng.standard_normal((12, 6)) * FLOOR, 50, axis=0)
    each = rng.standard_normal((600, 6)) * FLOOR
    stated = np.tile(np.diag(TOLD**2), (600, 1, 1))
    assert independent_count(many, stated) < 20
    assert independent_count(each, stated) > 300
    scales = [fit_covariance('map_images', errors, stated).scale for errors in (many, each)]
    assert scales[0] > 1.2 * scales[1]


@pytest.mark.parametrize('known', [False, True])
def test_views_near_the_map_do_not_make_far_ones_sure(rng, known):
    """Errors are ten times what the geometry states, and alike in 50 neighbouring images."""

    def views(blocks, low, high):
        sigma = np.repeat(np.geomspace(low, high, blocks), 50)[:, np.newaxis]
        units = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.5])  # [m], [rad]
        direction = np.repeat(rng.standard_normal((blocks, 6)), 50, axis=0)
        stated = np.array([np.diag((s * units) ** 2) for s in sigma])
        return direction * 10 * sigma * units, stated

    near, far = views(5, 0.001, 0.002), views(40, 0.002, 0.008)
    own = MapCalibration()
    for values, value in ((own.sigma_m, 0.001), (own.sigma_deg, 0.04), (own.scale, 100.0)):
        values['landmarks'] = value
    law = fit_covariance('landmarks', *near, prior=own if known else None)
    inside = law.errors('landmarks', *far) <= chi2(6).ppf(0.95)
    assert 0.85 <= inside.mean() < 1.0


def test_inliers_without_a_pose_speak_against_a_place(rng):
    samples = draw(rng, 50)
    samples.inliers[:] = 90
    verified = probability(samples, MapCalibration(), OF_MODEL)
    samples.inliers[:] = -1
    unverified = probability(samples, MapCalibration(), OF_MODEL)
    samples.inliers[:] = 90
    samples.without_pose[:] = True
    without_pose = probability(samples, MapCalibration(), OF_MODEL)
    assert np.all(without_pose < unverified)
    assert np.all(unverified < verified)


def test_blocks():
    assert list(np.flatnonzero(even_blocks(45))) == [*range(20), *range(40, 45)]
    assert np.flatnonzero(even_blocks(200)).tolist() == [*range(50), *range(100, 150)]
