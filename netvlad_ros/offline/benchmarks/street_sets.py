"""Benchmarks recorded from cars and trains, and of street views."""

from __future__ import annotations

from functools import partial

from netvlad_ros.offline.benchmarks.aligned_frames import load_nordland
from netvlad_ros.offline.benchmarks.dbstruct_list import load_dbstruct_list
from netvlad_ros.offline.benchmarks.loader import ANYLOC, entry
from netvlad_ros.offline.benchmarks.positioned import (
    load_listed,
    load_msls,
    load_tokyo247,
    load_utm_folders,
)

WITHIN_25_M = 'within 25 m of the query (Torii et al., CVPR 2013)'
UTM_LAYOUT = 'images/test/ with database/ and queries/, images named @east@north@...'

STREET_SETS = (
    entry(
        'pitts30k',
        'Pittsburgh 30k, test',
        'datasets/pitts30k_test.mat beside 000/ ... and queries_real/, or ' + UTM_LAYOUT,
        WITHIN_25_M,
        'Akihiko Torii on request; the lists by the NetVLAD authors',
        partial(load_listed, 'pitts30k_test.mat'),
        86.08,
    ),
    entry(
        'pitts250k',
        'Pittsburgh 250k, test',
        'datasets/pitts250k_test.mat beside 000/ ... and queries_real/, or ' + UTM_LAYOUT,
        WITHIN_25_M,
        'Akihiko Torii on request; the lists by the NetVLAD authors',
        partial(load_listed, 'pitts250k_test.mat'),
    ),
    entry(
        'tokyo247',
        'Tokyo 24/7',
        'datasets/tokyo247.mat beside tokyo247/ (or images/) and 247query_subset_v2/, or '
        + UTM_LAYOUT,
        WITHIN_25_M + '; of the 12 views of a panorama the best one alone is ranked (Torii et al., '
        'CVPR 2015); in UTM-named folders each counts for itself, as their authors have it',
        'Akihiko Torii on request; the list by the NetVLAD authors',
        partial(load_tokyo247, 'tokyo247.mat'),
    ),
    entry(
        'tokyo_tm',
        'Tokyo Time Machine, validation',
        'datasets/tokyoTM_val.mat beside images/',
        WITHIN_25_M + ', from another time; what was seen at its own time is not ranked',
        'the NetVLAD authors on request',
        partial(load_listed, 'tokyoTM_val.mat'),
    ),
    entry(
        'utm_folders',
        'a set in UTM-named folders',
        UTM_LAYOUT,
        'within 25 m of the query (Berton et al., CVPR 2022)',
        'the dataset downloader of the deep visual geo-localization benchmark',
        load_utm_folders,
    ),
    entry(
        'msls',
        'Mapillary Street-Level Sequences, validation',
        'train_val/cph and train_val/sf, or one city: query/ and database/ with images/ and tables',
        "within 25 m of the query, in its city, no panoramas, only the images of task 'all' in "
        "subtask_index.csv: the authors' evaluate.py and the published figures, without the 40 "
        'degrees of Warburg et al., CVPR 2020',
        "Mapillary's dataset page",
        load_msls,
    ),
    entry(
        'nordland',
        'Nordland, winter in summer',
        'summer/ and winter/ numbered alike, with cleanImageNames.txt (or nordland_imageNames.txt) '
        'if only some are used, or ' + UTM_LAYOUT,
        'at most 10 frames from the query (Hausler et al., CVPR 2021, and the geo-localization '
        "benchmark; the former's nordland.npz sets frames on a diagonal, which makes it 7)",
        'the Patch-NetVLAD authors (QUT); the film by NRK',
        load_nordland,
    ),
    entry(
        'st_lucia',
        'St Lucia',
        UTM_LAYOUT,
        'within 25 m of the query (Berton et al., CVPR 2022)',
        f"QUT (Warren et al.), the geo-localization benchmark's downloader, or {ANYLOC}",
        load_utm_folders,
        57.92,
    ),
    entry(
        'oxford_robotcar',
        'Oxford RobotCar',
        'oxdatapart.mat and oxDataPart/ with the folders that it names',
        "within the radius that the list itself stores, posDistThr, as AnyLoc's reader has it by "
        'default; its later runs, Oxford_25m, take 25 m',
        f'the Oxford Robotics Institute, the subset by {ANYLOC}',
        partial(load_dbstruct_list, 'oxdatapart.mat', 'oxDataPart'),
        52.88,
    ),
    entry(
        'berlin_kudamm',
        'Berlin Kudamm',
        'berlin.mat, Reference_resized/ and Query_resized/',
        'within the radius that the list itself stores, posDistThr: 50 m as published (Keetha et '
        'al., HEAPUtil, RA-L 2021)',
        'the authors of HEAPUtil or of the NetVLAD-in-Colab notebook (images: Mapillary)',
        partial(load_dbstruct_list, 'berlin.mat', '.'),
        38.21,
    ),
)
