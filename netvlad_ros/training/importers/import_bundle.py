"""import_bundle: from the file of a public model to a bundle, with the checks of our export."""

from __future__ import annotations

import hashlib
from pathlib import Path

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.offline.bundles.parity import images_of_folder, stand_in_images
from netvlad_ros.training.importers.public_model import read_public_model
from netvlad_ros.training.network.export import export_bundle

_ORIGINS = {
    'matlab_netvlad': 'MATLAB release of the NetVLAD authors (Arandjelovic et al., CVPR 2016)',
    'pytorch_netvlad': 'pytorch-NetVlad',
    'vgbench': 'deep visual geo-localization benchmark (Berton et al., CVPR 2022)',
}


def import_bundle(
    source: Path,
    out: Path,
    *,
    layout: str = 'auto',
    size: tuple[int, int] = (480, 640),
    dim: int = 0,
    pooling: str = '',
    l2: str = '',
    images: Path | None = None,
    licence: str = 'unknown',
) -> str:
    """Writes the bundle of a public model.

    Args:
        source: file of the model.
        out: the .onnx file to write.
        layout: of the file (see read_public_model).
        size: height and width that the bundle stretches images to [px].
        dim: dimensions to keep (see read_public_model).
        pooling: of the model (see read_public_model).
        l2: where the model normalises (see read_public_model).
        images: folder of images on which torch and onnxruntime are compared; None: smooth noise.
        licence: of the weights, as the user knows it.

    Returns:
        A sentence about the bundle.

    Raises:
        NetvladError: the file is invalid, or torch and onnxruntime disagree; nothing is written in
            either case.
    """
    if out.suffix != '.onnx':
        raise NetvladError(f'--out {out}: the name of a bundle ends in .onnx')
    preprocessing = Preprocessing(*size)
    network, found = read_public_model(
        source, preprocessing, layout=layout, pooling=pooling, l2=l2, dim=dim
    )
    metadata = {
        'name': out.stem,
        'licence': licence,
        'training': {
            'imported_from': _ORIGINS[found],
            'file': source.name,
            'file_sha256': _sha256(source),
        },
    }
    compared = stand_in_images(preprocessing) if images is None else images_of_folder(images)
    try:
        model_id = export_bundle(network, compared, metadata, out)
    except RuntimeError as error:  # of torch: the grid became empty, or layers do not fit
        raise NetvladError(
            f'{source} does not work on images of {size[0]}x{size[1]} px: '
            f'{str(error).splitlines()[0][:200]}'
        ) from error
    facts = network.facts
    return (
        f'{out}: {facts["backbone"]}, {facts["pooling"]}, whitening {facts["whitening"]}, '
        f'{network.dim} dimensions, licence {licence}, model {model_id[:12]}'
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
