"""The one door to torchvision for the training room.

The torchvision wheel's compiled operators need CUDA libraries: beside a CPU build of torch its
import stops with "operator torchvision::nms does not exist". Declaring the two operators that it
registers fakes for lets models and transforms import; box operators stay unusable there, and
nothing here uses one.
"""

from __future__ import annotations

from types import ModuleType

import torch

_SIGNATURES = {
    'nms': 'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms': 'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
}
_declared: list[
    torch.library.Library
] = []  # kept alive: a library that is collected takes its operators along


def _import_torchvision() -> ModuleType:
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library('torchvision', 'FRAGMENT')
        for signature in _SIGNATURES.values():
            library.define(signature)
        _declared.append(library)
        import torchvision
    import torchvision.models
    import torchvision.transforms.v2

    return torchvision


torchvision = _import_torchvision()
