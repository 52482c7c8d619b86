"""Progress callbacks, and Skip: what was left out of a drive, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

Progress = Callable[[int, int], None]  # items done, items in all


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


class Skip(NamedTuple):
    """A part of a drive that was left out.

    Attributes:
        image: name of the image, or what else it is.
        reason: why it was left out.
    """

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
