"""Progress callbacks, and Skip: what long work left out, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

Progress = Callable[[int, int], None]  # items done, items in all


def no_progress(done: int, total: int) -> None:
    """Shows nothing."""


class Skip(NamedTuple):
    """An image, or another part of a drive, that was left out, and why."""

    image: str
    reason: str


def skip_sentences(skips: Iterable[Skip], *, names: int = 5) -> list[str]:
    """One sentence for each reason, with the count and the first few names."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for skip in skips:
        by_reason[skip.reason].append(skip.image)
    sentences = []
    for reason, images in by_reason.items():
        more = f' and {len(images) - names} more' if len(images) > names else ''
        sentences.append(f'{len(images)} skipped, {reason}: {", ".join(images[:names])}{more}')
    return sentences
