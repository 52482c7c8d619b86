"""The benchmarks of image retrieval, by name."""

from __future__ import annotations

from netvlad_ros.offline.benchmarks.benchmark import BenchmarkInfo
from netvlad_ros.offline.benchmarks.retrieval import holidays, oxford_paris, revisited
from netvlad_ros.offline.benchmarks.retrieval.catalogue import VGG
from netvlad_ros.offline.benchmarks.retrieval.ground_truth_file import REVISITED

# No published_map: NetVLAD's authors print metrics of these sets (CVPR 2016, extended version).
# They widen the box of each query by half a receptive field (demoRetrieval.m of their release),
# this package does not. No copy of their table was available to check a number against.
RETRIEVAL: dict[str, BenchmarkInfo] = {
    info.name: info
    for info in (
        BenchmarkInfo(
            name='oxford5k',
            title='Oxford buildings, 5062 images, 55 queries',
            layout='jpg/*.jpg; gt_files/NAME_{query,good,ok,junk}.txt',
            protocol=oxford_paris.PROTOCOL,
            obtained=VGG,
            read=oxford_paris.load_oxford5k,
        ),
        BenchmarkInfo(
            name='paris6k',
            title='Paris buildings, 6392 images, 55 queries',
            layout='jpg/*.jpg or paris/PLACE/*.jpg; gt_files/NAME_{query,good,ok,junk}.txt',
            protocol=oxford_paris.PROTOCOL,
            obtained=VGG,
            read=oxford_paris.load_paris6k,
        ),
        BenchmarkInfo(
            name='roxford5k',
            title='Oxford buildings revisited, 4993 images, 70 queries',
            layout='jpg/*.jpg; gnd_roxford5k.pkl (or .mat, or .json)',
            protocol=revisited.PROTOCOL,
            obtained=f'{VGG} (images), and {REVISITED} (ground truth)',
            read=revisited.load_roxford5k,
        ),
        BenchmarkInfo(
            name='rparis6k',
            title='Paris buildings revisited, 6322 images, 70 queries',
            layout='jpg/*.jpg; gnd_rparis6k.pkl (or .mat, or .json)',
            protocol=revisited.PROTOCOL,
            obtained=f'{VGG} (images), and {REVISITED} (ground truth)',
            read=revisited.load_rparis6k,
        ),
        BenchmarkInfo(
            name='holidays',
            title='INRIA Holidays, 1491 images, 500 queries',
            layout='jpg/NNNNMM.jpg; optional holidays_images.dat',
            protocol=holidays.PROTOCOL,
            obtained=holidays.OBTAINED,
            read=holidays.load_holidays,
        ),
    )
}
