"""Where a set begins: archives often unpack into one more folder."""

from __future__ import annotations

import re
from pathlib import Path

LITTER = frozenset(('__MACOSX', 'Thumbs.db', 'desktop.ini'))
ARCHIVES = frozenset(('.zip', '.tar', '.gz', '.tgz', '.bz2', '.xz', '.7z', '.rar'))
DEEPEST = 3  # linked folders may run in circles


def unpacked_root(root: Path, layout: str) -> Path:
    """root, or the folder that is all there is in it, unless the layout names that folder.

    Archives and what systems leave behind beside it do not count.
    """
    expected = set(re.findall(r'[\w.-]+', layout))
    for _ in range(DEEPEST):
        inside = [path for path in root.iterdir() if not _is_litter(path)]
        if len(inside) != 1 or inside[0].name in expected or not inside[0].is_dir():
            break
        root = inside[0]
    return root


def _is_litter(path: Path) -> bool:
    return (
        path.name.startswith('.')
        or path.name in LITTER
        or (path.suffix.lower() in ARCHIVES and path.is_file())
    )
