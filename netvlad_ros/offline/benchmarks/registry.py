"""Every benchmark that `netvlad eval --benchmark` knows, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from netvlad_ros.offline.benchmarks.benchmark import Benchmark, BenchmarkInfo
from netvlad_ros.offline.benchmarks.cell_list import load_cell_list
from netvlad_ros.offline.benchmarks.frames import load_frames, load_nordland, load_vp_air
from netvlad_ros.offline.benchmarks.nardo_air import load_nardo_air
from netvlad_ros.offline.benchmarks.origin import Origin
from netvlad_ros.offline.benchmarks.pairs_file import load_mid_atlantic, load_vpr_bench
from netvlad_ros.offline.benchmarks.posed import load_baidu_mall, load_pose_topic
from netvlad_ros.offline.benchmarks.positioned import load_listed, load_msls, load_utm_folders
from netvlad_ros.offline.benchmarks.shared_drives import (
    load_corridor_loop,
    load_michigan,
    load_redkitchen,
)

ANYLOC = "AnyLoc's public release (its benchmark datasets)"
WITHIN_25_M = 'within 25 m of the query (Torii et al., CVPR 2013)'
UTM_LAYOUT = 'images/test/ with database/ and queries/, images named @east@north@...'


def _entry(
    name: str,
    title: str,
    layout: str,
    protocol: str,
    obtained: str,
    load: Callable[[Origin, Path], Benchmark],
    recall_at_1: float | None = None,
) -> BenchmarkInfo:
    origin = Origin(name, title, layout, protocol, obtained)
    return BenchmarkInfo(
        name, title, layout, protocol, obtained, partial(load, origin), recall_at_1
    )


_ENTRIES = (
    _entry(
        'pitts30k',
        'Pittsburgh 30k, test',
        'datasets/pitts30k_test.mat beside 000/ ... and queries_real/, or ' + UTM_LAYOUT,
        WITHIN_25_M,
        'Akihiko Torii on request; the lists by the NetVLAD authors',
        partial(load_listed, 'pitts30k_test.mat'),
        86.08,
    ),
    _entry(
        'pitts250k',
        'Pittsburgh 250k, test',
        'datasets/pitts250k_test.mat beside 000/ ... and queries_real/, or ' + UTM_LAYOUT,
        WITHIN_25_M,
        'Akihiko Torii on request; the lists by the NetVLAD authors',
        partial(load_listed, 'pitts250k_test.mat'),
    ),
    _entry(
        'tokyo247',
        'Tokyo 24/7',
        'datasets/tokyo247.mat beside tokyo247/ (or images/) and 247query_subset_v2/, or '
        + UTM_LAYOUT,
        WITHIN_25_M + '; each of the 12 views of a panorama counts for itself, where Torii et al., '
        'CVPR 2015, keep the best one',
        'Akihiko Torii on request; the list by the NetVLAD authors',
        partial(load_listed, 'tokyo247.mat'),
    ),
    _entry(
        'tokyo_tm',
        'Tokyo Time Machine, validation',
        'datasets/tokyoTM_val.mat beside images/',
        WITHIN_25_M + '; views of the query\'s own time count too',
        'the NetVLAD authors on request',
        partial(load_listed, 'tokyoTM_val.mat'),
    ),
    _entry(
        'utm_folders',
        'a set in UTM-named folders',
        UTM_LAYOUT,
        'within 25 m of the query (Berton et al., CVPR 2022)',
        'the dataset downloader of the deep visual geo-localization benchmark',
        load_utm_folders,
    ),
    _entry(
        'msls',
        'Mapillary Street-Level Sequences, validation',
        'train_val/cph and train_val/sf, or one city: query/ and database/ with images/ and tables',
        'within 25 m and 40 degrees of the query, in its city, no panoramas '
        '(Warburg et al., CVPR 2020)',
        "Mapillary's dataset page",
        load_msls,
    ),
    _entry(
        'nordland',
        'Nordland, winter in summer',
        'summer/ and winter/ numbered alike, with nordland_imageNames.txt if only some are used, '
        'or ' + UTM_LAYOUT,
        'at most 10 frames from the query (Hausler et al., CVPR 2021)',
        'the Patch-NetVLAD authors (QUT); the film by NRK',
        load_nordland,
    ),
    _entry(
        'gardens_point',
        'Gardens Point, night_right in day_right',
        'day_left/, day_right/, night_right/ with Image000.jpg ... Image199.jpg',
        'at most 2 frames from the query (Zaffar et al., VPR-Bench, IJCV 2021)',
        f'QUT (Arren Glover, "Day and Night, Left and Right"), or {ANYLOC}',
        partial(load_frames, 'day_right', 'night_right', 2),
        58.50,
    ),
    _entry(
        'gardens_point_day',
        'Gardens Point, day_right in day_left',
        'day_left/, day_right/, night_right/ with Image000.jpg ... Image199.jpg',
        'at most 2 frames from the query (Zaffar et al., VPR-Bench, IJCV 2021)',
        f'QUT (Arren Glover, "Day and Night, Left and Right"), or {ANYLOC}',
        partial(load_frames, 'day_left', 'day_right', 2),
    ),
    _entry(
        'st_lucia',
        'St Lucia',
        UTM_LAYOUT,
        'within 25 m of the query (Berton et al., CVPR 2022)',
        f'QUT (Warren et al.), the geo-localization benchmark\'s downloader, or {ANYLOC}',
        load_utm_folders,
        57.92,
    ),
    _entry(
        '17_places',
        '17 Places',
        'ref/ and query/, numbered alike from 0000000.jpg',
        'at most 5 frames from the query (Keetha et al., AnyLoc, RA-L 2023)',
        f'York University (Sahdev and Tsotsos), or {ANYLOC}',
        partial(load_frames, 'ref', 'query', 5),
        61.58,
    ),
    _entry(
        'baidu_mall',
        'Baidu Mall',
        'training_images_undistort/, training_gt/, query_images_undistort/, query_gt/ (*.camera)',
        'within 10 m of the query (Keetha et al., AnyLoc, RA-L 2023)',
        f'the authors (Sun et al., CVPR 2017), or {ANYLOC}',
        load_baidu_mall,
        53.10,
    ),
    _entry(
        'oxford_robotcar',
        'Oxford RobotCar',
        'oxdatapart.mat and oxDataPart/ with the folders that it names',
        "within the radius that the list itself stores, posDistThr (AnyLoc's reading)",
        f'the Oxford Robotics Institute, the subset by {ANYLOC}',
        partial(load_cell_list, 'oxdatapart.mat', 'oxDataPart'),
        52.88,
    ),
    _entry(
        'berlin_kudamm',
        'Berlin Kudamm',
        'berlin.mat, Reference_resized/ and Query_resized/',
        'within the radius that the list itself stores, posDistThr',
        "the authors of the NetVLAD-in-Colab notebook (images: Mapillary)",
        partial(load_cell_list, 'berlin.mat', '.'),
        38.21,
    ),
    _entry(
        'nardo_air',
        'Nardo-Air',
        'query.csv, reference.csv, gt_matches.csv, query_images/, reference_images/',
        'one of the five best references of gt_matches.csv (Keetha et al., AnyLoc, RA-L 2023)',
        f'{ANYLOC}, as test_40_midref_rot0',
        load_nardo_air,
        19.72,
    ),
    _entry(
        'nardo_air_r',
        'Nardo-Air R',
        'query.csv, reference.csv, gt_matches.csv, query_images/, reference_images/',
        'one of the five best references of gt_matches.csv (Keetha et al., AnyLoc, RA-L 2023)',
        f'{ANYLOC}, as test_40_midref_rot90',
        load_nardo_air,
        60.56,
    ),
    _entry(
        'hawkins',
        'Hawkins, long corridor',
        'db_images/ (127), q_images/ (118), pose_topic_list.npy',
        'within 8 m of the query (Keetha et al., AnyLoc, RA-L 2023)',
        f'{ANYLOC}, as hawkins_long_corridor',
        partial(load_pose_topic, slice(0, 127), slice(127, 245)),
        34.75,
    ),
    _entry(
        'laurel_caverns',
        'Laurel Caverns',
        'db_images/ (141), q_images/ (112), pose_topic_list.npy',
        'within 8 m of the query (Keetha et al., AnyLoc, RA-L 2023)',
        ANYLOC,
        partial(load_pose_topic, slice(0, 141), slice(229, 341)),
        39.29,
    ),
    _entry(
        'mid_atlantic_ridge',
        'Mid-Atlantic Ridge',
        'db_images/ (65), q_images/ (101), ground_truth.csv (or eiffel_gt.npy of whole numbers)',
        'the pairs of the ground truth (Keetha et al., AnyLoc, RA-L 2023; images: Boittiaux et '
        'al., IJRR 2023)',
        f'{ANYLOC}, as eiffel',
        load_mid_atlantic,
        25.74,
    ),
    _entry(
        'vp_air',
        'VP-Air',
        'queries/ and reference_views/ numbered alike, distractors/',
        'at most 3 frames from the query, distractors in the database '
        '(Keetha et al., AnyLoc, RA-L 2023)',
        f'its authors on request (Schleiss et al., 2022), or {ANYLOC}',
        load_vp_air,
        6.39,
    ),
    _entry(
        'sped',
        'SPED, test',
        'ref/ and query/ from 0000000.jpg, ground_truth.csv (or ground_truth_new.npy of whole '
        'numbers)',
        'the pairs of the ground truth: one reference a query (Zaffar et al., IJCV 2021)',
        'the VPR-Bench authors',
        load_vpr_bench,
    ),
    _entry(
        'essex3in1',
        'ESSEX3IN1',
        'ref/ and query/ from 0000000.jpg, ground_truth.csv (or ground_truth_new.npy of whole '
        'numbers)',
        'the pairs of the ground truth: one reference a query (Zaffar et al., IJCV 2021)',
        'the VPR-Bench authors',
        load_vpr_bench,
    ),
    _entry(
        'corridor_loop',
        'a robot in a corridor, lap 2 in lap 1',
        'images/001.jpg ... 080.jpg and pairs.csv',
        'the pairs of pairs.csv; images 41 to 80 searched in 1 to 40',
        'the folder of real drives beside the checkout',
        load_corridor_loop,
    ),
    _entry(
        'redkitchen',
        'RedKitchen of 7-Scenes, second half in the first',
        'images/ and poses.csv',
        'within 0.5 m and 30 degrees of the query',
        'the folder of real drives beside the checkout',
        load_redkitchen,
    ),
    _entry(
        'michigan_12months',
        'five places of a campus, months 2 to 12 in month 1',
        'images/ and ground_truth.csv',
        'the same place',
        'the folder of real drives beside the checkout',
        load_michigan,
    ),
)  # fmt: skip
BENCHMARKS: dict[str, BenchmarkInfo] = {entry.name: entry for entry in _ENTRIES}
