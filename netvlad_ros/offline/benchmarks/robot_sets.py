"""Benchmarks recorded on foot, by robots, indoors, underground, under water and from the air."""

from __future__ import annotations

from functools import partial

from netvlad_ros.offline.benchmarks.aligned_frames import load_frames, load_vp_air
from netvlad_ros.offline.benchmarks.loader import ANYLOC, entry
from netvlad_ros.offline.benchmarks.nardo_air import load_nardo_air
from netvlad_ros.offline.benchmarks.own_drives import (
    load_corridor_loop,
    load_halves,
    load_michigan,
    load_pairs,
)
from netvlad_ros.offline.benchmarks.pair_lists import load_mid_atlantic, load_vpr_bench
from netvlad_ros.offline.benchmarks.posed import load_baidu_mall, load_pose_topic

ROBOT_SETS = (
    entry(
        'gardens_point',
        'Gardens Point, night_right in day_right',
        'day_left/, day_right/, night_right/ with Image000.jpg ... Image199.jpg',
        'at most 2 frames from the query (Zaffar et al., VPR-Bench, IJCV 2021)',
        f'QUT (Arren Glover, "Day and Night, Left and Right"), or {ANYLOC}',
        partial(load_frames, 'day_right', 'night_right', 2),
        58.50,
    ),
    entry(
        'gardens_point_day',
        'Gardens Point, day_right in day_left',
        'day_left/, day_right/, night_right/ with Image000.jpg ... Image199.jpg',
        'at most 2 frames from the query (Zaffar et al., VPR-Bench, IJCV 2021)',
        f'QUT (Arren Glover, "Day and Night, Left and Right"), or {ANYLOC}',
        partial(load_frames, 'day_left', 'day_right', 2),
    ),
    entry(
        '17_places',
        '17 Places',
        'ref/ and query/, numbered alike from 0000000.jpg',
        'at most 5 frames from the query (Keetha et al., AnyLoc, RA-L 2023; ground_truth_new.npy '
        'says the same in their release and 2 frames in that of VPR-Bench, and is not read)',
        f'York University (Sahdev and Tsotsos), or {ANYLOC}',
        partial(load_frames, 'ref', 'query', 5),
        61.58,
    ),
    entry(
        'baidu_mall',
        'Baidu Mall',
        'training_images_undistort/, training_gt/, query_images_undistort/, query_gt/ (*.camera)',
        'within 10 m of the query (Keetha et al., AnyLoc, RA-L 2023)',
        f'the authors (Sun et al., CVPR 2017), or {ANYLOC}',
        load_baidu_mall,
        53.10,
    ),
    entry(
        'nardo_air',
        'Nardo-Air',
        'query.csv, reference.csv, gt_matches.csv, query_images/, reference_images/',
        'one of the five best references of gt_matches.csv, images counted in natural order of '
        'their names (Keetha et al., AnyLoc, RA-L 2023)',
        f'{ANYLOC}, as test_40_midref_rot0',
        load_nardo_air,
        19.72,
    ),
    entry(
        'nardo_air_r',
        'Nardo-Air R',
        'query.csv, reference.csv, gt_matches.csv, query_images/, reference_images/',
        'one of the five best references of gt_matches.csv, images counted in natural order of '
        'their names (Keetha et al., AnyLoc, RA-L 2023)',
        f'{ANYLOC}, as test_40_midref_rot90',
        load_nardo_air,
        60.56,
    ),
    entry(
        'hawkins',
        'Hawkins, long corridor',
        'db_images/ (127), q_images/ (118), pose_topic_list.npy',
        'within 8 m of the query (Keetha et al., AnyLoc, RA-L 2023)',
        f'{ANYLOC}, as hawkins_long_corridor',
        partial(load_pose_topic, slice(0, 127), slice(127, 245)),
        34.75,
    ),
    entry(
        'laurel_caverns',
        'Laurel Caverns',
        'db_images/ (141), q_images/ (112), pose_topic_list.npy',
        'within 8 m of the query (Keetha et al., AnyLoc, RA-L 2023)',
        ANYLOC,
        partial(load_pose_topic, slice(0, 141), slice(229, 341)),
        39.29,
    ),
    entry(
        'mid_atlantic_ridge',
        'Mid-Atlantic Ridge',
        'db_images/ (65), q_images/ (101), eiffel_gt.npy (or ground_truth.csv: query,reference)',
        'the pairs of the ground truth, rows 101 on of eiffel_gt.npy, one a query (Keetha et al., '
        'AnyLoc, RA-L 2023; images: Boittiaux et al., IJRR 2023)',
        f'{ANYLOC}, as eiffel',
        load_mid_atlantic,
        25.74,
    ),
    entry(
        'vp_air',
        'VP-Air',
        'queries/ and reference_views/ numbered alike, distractors/',
        'at most 3 frames from the query, distractors in the database '
        '(Keetha et al., AnyLoc, RA-L 2023)',
        f'its authors on request (Schleiss et al., 2022), or {ANYLOC}',
        load_vp_air,
        6.39,
    ),
    entry(
        'sped',
        'SPED, test',
        'ref/ and query/ from 0000000.jpg, ground_truth_new.npy (or ground_truth.csv: '
        'query,reference)',
        'the pairs of the ground truth: one reference a query (Zaffar et al., IJCV 2021)',
        'the VPR-Bench authors',
        load_vpr_bench,
    ),
    entry(
        'essex3in1',
        'ESSEX3IN1',
        'ref/ and query/ from 0000000.jpg, ground_truth_new.npy (or ground_truth.csv: '
        'query,reference)',
        'the pairs of the ground truth: one reference a query (Zaffar et al., IJCV 2021)',
        'the VPR-Bench authors',
        load_vpr_bench,
    ),
)
OWN_DRIVES = (
    entry(
        'corridor_loop',
        'a robot in a corridor, lap 2 in lap 1',
        'images/001.jpg ... 080.jpg and pairs.csv',
        'the pairs of pairs.csv; images 41 to 80 searched in 1 to 40',
        'the folder of real drives beside the checkout',
        load_corridor_loop,
    ),
    entry(
        'redkitchen',
        'RedKitchen of 7-Scenes, second half in the first',
        'images/ and poses.csv',
        'within 0.5 m and 30 degrees of the query',
        'the folder of real drives beside the checkout',
        load_halves,
    ),
    entry(
        'michigan_12months',
        'five places of a campus, months 2 to 12 in month 1',
        'images/ and ground_truth.csv',
        'the same place',
        'the folder of real drives beside the checkout',
        load_michigan,
    ),
    entry(
        'pairs',
        'any folder with pairs.csv',
        'pairs.csv: query,db, and the images that it names',
        'the pairs of pairs.csv; an image that is a query is not searched in',
        'your own drives',
        load_pairs,
    ),
    entry(
        'posed_drive',
        'any drive with poses.csv, second half in the first',
        'images/ and poses.csv',
        'within 0.5 m and 30 degrees of the query',
        'your own drives',
        load_halves,
    ),
)
