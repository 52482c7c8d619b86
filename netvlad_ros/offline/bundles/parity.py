"""Parity: whether two networks compute the same descriptors of the same images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from netvlad_ros.core.camera.image import read_image
from netvlad_ros.core.errors import NetvladError
from netvlad_ros.core.model.preprocessing import Preprocessing
from netvlad_ros.offline.files.image_files import image_names

PARITY = 0.9999  # smallest cosine between equal descriptors
COMPARED = 8  # largest number of images of a folder that are compared

# uint8 (h, w, 3) RGB images of one working size -> (N, D)
Describe = Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.floating]]
# The same images -> several outputs, each with N rows
Answer = Callable[[Sequence[NDArray[np.uint8]]], Sequence[NDArray[np.floating]]]


def check_parity(
    reference: Describe, candidate: Describe, images: Sequence[NDArray[np.uint8]], what: str
) -> None:
    """Compare image by image and, if their sizes agree, all as one batch.

    Args:
        reference, candidate: the two sides.
        images: uint8 (h, w, 3) RGB, at their working size.
        what: begins the error message: what is refused, and what disagrees.

    Raises:
        NetvladError: a cosine of 0.9999 or less, or a descriptor that is not finite.
    """
    worst = worst_cosine(reference, candidate, images)
    if not worst > PARITY:  # also refuses NaN
        raise NetvladError(
            f'{what} agree only to cosine {worst:.6f} on {len(images)} images, '
            f'needs more than {PARITY}'
        )


def worst_cosine(
    reference: Describe, candidate: Describe, images: Sequence[NDArray[np.uint8]]
) -> float:
    """Smallest cosine between the two sides; NaN if a descriptor is not finite."""
    cosines = []
    for group in image_groups(images):
        ours, theirs = (side(group).astype(np.float64) for side in (reference, candidate))
        norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        with np.errstate(invalid='ignore', divide='ignore'):
            cosines.append(((ours * theirs).sum(axis=1) / norms).min())
    return float(np.min(cosines))


def image_groups(images: Sequence[NDArray[np.uint8]]) -> list[Sequence[NDArray[np.uint8]]]:
    """Each image alone, and all as one batch if their sizes agree."""
    groups: list[Sequence[NDArray[np.uint8]]] = [[image] for image in images]
    if len({image.shape for image in images}) == 1:
        groups.append(images)
    return groups


def graph_describer(model: onnx.ModelProto, output: str, preprocessing: Preprocessing) -> Describe:
    """A function that computes descriptors with a graph, as graph_answer does.

    Raises:
        NetvladError: onnxruntime refuses the graph.
    """
    answer = graph_answer(model, [output], preprocessing)
    return lambda images: answer(images)[0]


def graph_answer(
    model: onnx.ModelProto, outputs: Sequence[str], preprocessing: Preprocessing
) -> Answer:
    """A function that computes outputs of a graph, by onnxruntime on the CPU.

    Raises:
        NetvladError: onnxruntime refuses the graph.
    """
    try:
        session = ort.InferenceSession(
            model.SerializeToString(), providers=['CPUExecutionProvider']
        )
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        raise NetvladError(f'the graph does not load in onnxruntime: {error}') from error
    port = session.get_inputs()[0]

    def answer(images: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.floating]]:
        groups = [[image] for image in images] if isinstance(port.shape[0], int) else [images]
        runs = [session.run([*outputs], {port.name: preprocessing.to_input(g)}) for g in groups]
        return [np.concatenate(rows) for rows in zip(*runs, strict=True)]

    return answer


def images_of_folder(folder: Path) -> list[NDArray[np.uint8]]:
    """Images to compare on, uint8 (h, w, 3) RGB, evenly spaced in the order of a folder.

    Raises:
        NetvladError: there are fewer than two, or one cannot be read.
    """
    names = image_names(folder)
    if len(names) < 2:
        raise NetvladError(f'{folder}: the comparison needs two images or more, found {len(names)}')
    count = min(COMPARED, len(names))
    return [read_image(folder / names[i * len(names) // count]) for i in range(count)]


def stand_in_images(preprocessing: Preprocessing) -> list[NDArray[np.uint8]]:
    """Three images of smooth noise, uint8 (h, w, 3), to use without real images."""
    rng = np.random.default_rng(0)
    size = (preprocessing.height, preprocessing.width)
    coarse = [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (16, 24, 48)]
    plain = Preprocessing(*size)
    return [plain(noise) for noise in coarse]
