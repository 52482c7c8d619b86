"""METHODS: the methods of place recognition, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.offline.methods.global_descriptors.bundle_descriptor import BundleDescriptor
from netvlad_ros.offline.methods.global_descriptors.feature_maps import FeatureMaps
from netvlad_ros.offline.methods.global_descriptors.geometric_reranking import GeometricReranked
from netvlad_ros.offline.methods.global_descriptors.pooled_maps import (
    PooledMaps,
    crow,
    gem,
    mac,
    rmac,
    spoc,
)
from netvlad_ros.offline.methods.global_descriptors.product_quantisation import ProductQuantised
from netvlad_ros.offline.methods.global_descriptors.reranking import (
    QueryExpanded,
    ReciprocalReranked,
)
from netvlad_ros.offline.methods.global_descriptors.seqslam import SeqSlam
from netvlad_ros.offline.methods.global_descriptors.whole_image import Hog, Thumbnail
from netvlad_ros.offline.methods.method import Method, MethodContext
from netvlad_ros.offline.methods.recipe import Recipe, RecipeMethod
from netvlad_ros.offline.methods.visual_words.asmk import Asmk
from netvlad_ros.offline.methods.visual_words.attentive_columns import AttentiveColumns
from netvlad_ros.offline.methods.visual_words.bag_of_words import BagOfWords
from netvlad_ros.offline.methods.visual_words.fisher import Fisher
from netvlad_ros.offline.methods.visual_words.hamming_embedding import HammingEmbedding
from netvlad_ros.offline.methods.visual_words.local_source import DenseSift, SparseSift
from netvlad_ros.offline.methods.visual_words.vlad import Vlad

VERIFIED = 20  # first places of a ranking that are verified
DENSE_WORDS = 128

Make = Callable[[MethodContext], Recipe]
# Methods that run context.model, and those that run no network.
_LEARNED: dict[str, tuple[str, Make]] = {
    'netvlad': ('Arandjelovic et al., CVPR 2016', BundleDescriptor),
    'netvlad-reranked': ('Sarlin et al., CVPR 2019', GeometricReranked.of),
    'netvlad-pq': (
        'Jegou et al., PAMI 2011',
        lambda context: ProductQuantised(BundleDescriptor(context), context.seed),
    ),
    'netvlad-qe': (
        'Radenovic et al., PAMI 2019',
        lambda context: QueryExpanded(BundleDescriptor(context)),
    ),
    'netvlad-reciprocal': (
        'Zhong et al., CVPR 2017',
        lambda context: ReciprocalReranked(BundleDescriptor(context)),
    ),
    'mac': ('Tolias et al., ICLR 2016', lambda context: PooledMaps(FeatureMaps(context), mac)),
    'spoc': (
        'Babenko and Lempitsky, ICCV 2015',
        lambda context: PooledMaps(FeatureMaps(context), spoc),
    ),
    'crow': (
        'Kalantidis et al., ECCVW 2016',
        lambda context: PooledMaps(FeatureMaps(context), crow),
    ),
    'rmac': ('Tolias et al., ICLR 2016', lambda context: PooledMaps(FeatureMaps(context), rmac)),
    'gem': ('Radenovic et al., PAMI 2019', lambda context: PooledMaps(FeatureMaps(context), gem)),
    'delf': (
        'Noh et al., ICCV 2017',
        lambda context: Asmk(AttentiveColumns(FeatureMaps(context)), context.seed),
    ),
}
_CLASSIC: dict[str, tuple[str, Make]] = {
    'thumbnail': ('Milford and Wyeth, ICRA 2012', lambda context: Thumbnail()),
    'hog': ('Dalal and Triggs, CVPR 2005', lambda context: Hog()),
    'seqslam': ('Milford and Wyeth, ICRA 2012', lambda context: SeqSlam()),
    'bow': (
        'Sivic and Zisserman, ICCV 2003',
        lambda context: BagOfWords(SparseSift(context.cache), context.seed),
    ),
    'bow-verified': (
        'Philbin et al., CVPR 2007',
        lambda context: BagOfWords(SparseSift(context.cache), context.seed, verified=VERIFIED),
    ),
    'hamming': (
        'Jegou et al., ECCV 2008',
        lambda context: HammingEmbedding(SparseSift(context.cache), context.seed),
    ),
    'asmk': (
        'Tolias et al., ICCV 2013',
        lambda context: Asmk(SparseSift(context.cache), context.seed),
    ),
    'vlad': (
        'Jegou et al., CVPR 2010',
        lambda context: Vlad(SparseSift(context.cache), context.seed),
    ),
    'vlad-intra': (
        'Arandjelovic and Zisserman, CVPR 2013',
        lambda context: Vlad(SparseSift(context.cache), context.seed, intra=True),
    ),
    'densevlad': (
        'Torii et al., CVPR 2015',
        lambda context: Vlad(DenseSift(context.cache), context.seed, DENSE_WORDS, intra=True),
    ),
    'fisher': (
        'Perronnin et al., ECCV 2010',
        lambda context: Fisher(SparseSift(context.cache), context.seed),
    ),
}


def _maker(name: str, paper: str, make: Make) -> Callable[[MethodContext], Method]:
    return lambda context: RecipeMethod(name, paper, make(context), context)


METHODS: dict[str, Callable[[MethodContext], Method]] = {
    name: _maker(name, paper, make) for name, (paper, make) in {**_LEARNED, **_CLASSIC}.items()
}


def chosen_methods(text: str) -> list[str]:
    """The names in a comma-separated list, each once; 'all' stands for all known ones.

    A name that ends in .onnx is the path of a bundle.

    Raises:
        NetvladError: a name is unknown; the message lists the known ones. Or two bundles have the
            same file name.
    """
    names: list[str] = []
    for word in (word.strip() for word in text.split(',')):
        if word != 'all' and word not in METHODS and not word.endswith('.onnx'):
            raise NetvladError(
                f"'{word}' is no method; known are {', '.join(METHODS)}, all, and the path of a "
                'model bundle (.onnx)'
            )
        names += METHODS if word == 'all' else [word]
    chosen = list(dict.fromkeys(names))
    files = [Path(name).name for name in chosen if name not in METHODS]
    twice = next((file for file in files if files.count(file) > 1), None)
    if twice is not None:
        raise NetvladError(f'two bundles are called {twice}, and would be confused; rename one')
    return chosen


def runs_model(name: str) -> bool:
    """Whether a method uses the bundle of a MethodContext."""
    return name in _LEARNED


def open_method(name: str, context: MethodContext) -> Method:
    """The method of a name of chosen_methods.

    Raises:
        NetvladError: its model is unusable.
    """
    if name in METHODS:
        return METHODS[name](context)
    context = replace(context, model=Path(name))
    return RecipeMethod(Path(name).name, 'its own', BundleDescriptor(context), context)
