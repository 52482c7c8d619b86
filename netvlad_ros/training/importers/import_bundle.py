"""import_bundle: from the file of a public model to a bundle, with the checks of our export."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.features.local_features import DEFAULT_KEYPOINTS
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.offline.bundles.parity import images_of_folder, stand_in_images
from netvlad_ros.training.importers.feature_network import (
    COMPARED_AT,
    read_local_backbone,
    write_features,
)
from netvlad_ros.training.importers.public_model import read_public_model
from netvlad_ros.training.network.backbones.local_backbone import LocalBackbone
from netvlad_ros.training.network.export import export_bundle

_ORIGINS = {
    'matlab_netvlad': 'MATLAB release of the NetVLAD authors (Arandjelovic et al., CVPR 2016)',
    'pytorch_netvlad': 'pytorch-NetVlad',
    'vgbench': 'deep visual geo-localization benchmark (Berton et al., CVPR 2022)',
    'xfeat': 'XFeat (Potje et al., CVPR 2024)',
    'edgepoint2_e64': 'EdgePoint2 (Yao et al., 2025)',
    'edgepoint2_t48': 'EdgePoint2 (Yao et al., 2025)',
}
DEFAULT_SIZE = (480, 640)  # height and width that place networks stretch images to [px]


def import_bundle(
    source: Path,
    out: Path,
    *,
    layout: str = 'auto',
    size: tuple[int, int] | None = None,
    dim: int = 0,
    pooling: str = '',
    l2: str = '',
    keypoints: int | None = None,
    images: Path | None = None,
    licence: str = 'unknown',
) -> str:
    """Writes the bundle of a public model; the feature bundle of a network of local features.

    Args:
        source: file of the model.
        out: the .onnx file to write.
        layout: of the file (see read_public_model and read_local_backbone).
        size: height and width that the bundle stretches images to [px]; None: DEFAULT_SIZE.
        dim: dimensions to keep (see read_public_model).
        pooling: of the model (see read_public_model).
        l2: where the model normalises (see read_public_model).
        keypoints: of an image at most, of a network of local features; None: DEFAULT_KEYPOINTS.
        images: folder of images on which torch and onnxruntime are compared; None: smooth noise.
        licence: of the weights, as the user knows it.

    Returns:
        A sentence about the bundle.

    Raises:
        NetvladError: the file is invalid, an option does not fit it, or torch and onnxruntime
            disagree; nothing is written then.
    """
    if out.suffix != '.onnx':
        raise NetvladError(f'--out {out}: the name of a bundle ends in .onnx')
    backbone = read_local_backbone(source, layout)
    if backbone is not None:
        given = {'image-size': size, 'dim': dim, 'pooling': pooling, 'l2': l2}
        for option, value in given.items():
            if value:
                raise NetvladError(
                    f'{source} holds local features ({backbone.name}) and no place descriptor: '
                    f'leave --{option} out'
                )
        return _import_features(source, out, backbone, keypoints, images, licence)
    if keypoints is not None:
        raise NetvladError(f'{source} holds a place descriptor: leave --keypoints out')
    preprocessing = Preprocessing(*(size or DEFAULT_SIZE))
    network, found = read_public_model(
        source, preprocessing, layout=layout, pooling=pooling, l2=l2, dim=dim
    )
    metadata = _metadata(source, out, found, licence)
    compared = stand_in_images(preprocessing) if images is None else images_of_folder(images)
    try:
        model_id = export_bundle(network, compared, metadata, out)
    except RuntimeError as error:  # of torch: the grid became empty, or layers do not fit
        raise NetvladError(
            f'{source} does not work on images of {preprocessing.height}x{preprocessing.width} px: '
            f'{str(error).splitlines()[0][:200]}'
        ) from error
    facts = network.facts
    return (
        f'{out}: {facts["backbone"]}, {facts["pooling"]}, whitening {facts["whitening"]}, '
        f'{network.dim} dimensions, licence {licence}, model {model_id[:12]}'
    )


def _import_features(
    source: Path,
    out: Path,
    backbone: LocalBackbone,
    keypoints: int | None,
    images: Path | None,
    licence: str,
) -> str:
    compared = stand_in_images(COMPARED_AT) if images is None else images_of_folder(images)
    count = keypoints or DEFAULT_KEYPOINTS
    metadata = _metadata(source, out, backbone.name, licence)
    model_id = write_features(backbone, count, compared, metadata, out)
    return (
        f'{out}: local features of {backbone.name}, {backbone.channels} columns, at most {count} '
        f'keypoints, licence {licence}, model {model_id[:12]}'
    )


def _metadata(source: Path, out: Path, layout: str, licence: str) -> dict[str, Any]:
    return {
        'name': out.stem,
        'licence': licence,
        'training': {
            'imported_from': _ORIGINS[layout],
            'file': source.name,
            'file_sha256': _sha256(source),
        },
    }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
