"""A bundle made from another: fewer dimensions, half precision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.bundle import ModelBundle, write_bundle
from netvlad_ros.core.model.metadata import METADATA_KEY, ModelMetadata
from netvlad_ros.offline.bundles.fewer_dimensions import (
    IN_TURNS,
    fewer_dimensions,
    first_dimensions,
)
from netvlad_ros.offline.bundles.half_precision import half_graph
from netvlad_ros.offline.bundles.local_parity import check_local_parity
from netvlad_ros.offline.bundles.parity import (
    check_parity,
    graph_answer,
    graph_describer,
    stand_in_images,
)


def revise_bundle(
    source: Path,
    out: Path,
    *,
    dim: int | None = None,
    half: bool = False,
    images: Sequence[NDArray[np.uint8]] = (),
    where: str = '',
) -> tuple[str, bool]:
    """Write a bundle of the first dimensions of another, or in half precision.

    Args:
        source: a bundle.
        out: the new bundle; its name becomes the model's name.
        dim: number of dimensions to keep, of unit length again; None = all.
        half: weights and convolutions in float16; input and output stay in float32, and so does
            all that local features come from.
        images: uint8 (H, W, 3) RGB, on which both must agree; none: noise is used.
        where: names source in errors; empty: its path.

    Returns:
        The new model id, and whether a calibration was dropped: with fewer dimensions every
        similarity changes, and the calibration no longer holds.

    Raises:
        NetvladError: source is no valid bundle, has no whitening layer or fewer dimensions, or the
            two disagree (cosine <= 0.9999, or other local features). No file is left then.
    """
    metadata = ModelBundle.load(source, device='cpu').metadata  # this also checks the bundle
    where = where or f'model {source}'
    model = onnx.load_model(source)
    raw: dict[str, Any] = json.loads(
        next(entry.value for entry in model.metadata_props if entry.key == METADATA_KEY)
    )
    local = metadata.local.names if metadata.local is not None else []
    revised, changes, dropped = model, dict[str, Any](), False
    if dim is not None and dim != metadata.dim:
        revised = _fewer_dimensions(revised, metadata, dim, where)
        dropped = raw.get('calibration') is not None
        changes |= {
            'dim': dim,
            'whitening': f'{metadata.whitening}, cut to {dim}',
            'calibration': None,
        }
    if half:
        revised = half_graph(revised, local)
        changes['precision'] = 'float16'
    if not changes:
        raise NetvladError(f'{where} is {metadata.dim}-dimensional already: nothing to do')

    preprocessing, output = metadata.preprocessing, metadata.output_name
    resized = [preprocessing(image) for image in images] or stand_in_images(preprocessing)
    what = f'export to {out} refused: it and {where}'
    whole = graph_describer(model, output, preprocessing)
    check_parity(
        lambda group: whole(group)[:, :dim],  # a cosine needs no unit length
        graph_describer(revised, output, preprocessing),
        resized,
        what,
    )
    if local:
        check_local_parity(
            graph_answer(model, local, preprocessing),
            graph_answer(revised, local, preprocessing),
            resized,
            what,
        )
    history = {'model_id': metadata.model_id, 'name': metadata.name, 'dim': metadata.dim}
    facts = {**raw, **changes, 'name': out.stem, 'made_from': history}
    return write_bundle(revised, facts, out), dropped


def _fewer_dimensions(
    model: onnx.ModelProto, metadata: ModelMetadata, dim: int, where: str
) -> onnx.ModelProto:
    if metadata.whitening == 'none':
        raise NetvladError(
            f'{where} has no whitening layer, so none of its dimensions is more telling than '
            'another: train it with whitening, or export the network with it'
        )
    if IN_TURNS not in metadata.whitening:
        return fewer_dimensions(model, metadata.output_name, dim, where)
    if not 1 <= dim <= metadata.dim:
        raise NetvladError(f'{where} has {metadata.dim} dimensions: it cannot be cut to {dim}')
    return first_dimensions(model, metadata.output_name, dim)
