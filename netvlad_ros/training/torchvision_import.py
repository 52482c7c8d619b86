"""torchvision, also beside a CPU build of torch; all training code imports it from here.

The compiled operators of the torchvision wheel need CUDA libraries. Beside a CPU build of torch,
its import fails with "operator torchvision::nms does not exist". With the two missing operators
declared, models and transforms can be imported. Box operators stay unusable then; nothing here
uses them.
"""

from __future__ import annotations

from types import ModuleType

import torch

_SIGNATURES = {
    'nms': 'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms': 'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
}
# Kept alive: a library that is garbage collected removes its operators.
_declared: list[torch.library.Library] = []


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
