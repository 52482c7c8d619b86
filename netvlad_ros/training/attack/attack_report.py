"""report.html of an attack: rates of fooled answers, and the attacked images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvlad_ros.offline.report.environment import environment
from netvlad_ros.offline.report.metric_table import flat, side_by_side
from netvlad_ros.offline.report.page import Page, thumbnail
from netvlad_ros.training.attack.attack_metrics import COUNTED, Attempt
from netvlad_ros.training.attack.attack_plot import GAIN, change
from netvlad_ros.training.attack.attacked_localizer import (
    DRIVING,
    LOOKS,
    MODES,
    RETRIEVAL,
    STANDING,
    UNCALIBRATED,
    VERIFIED,
)

MOST_SHOWN = 24
RATES = {
    'retrieval_fooled': 'Retrieval alone: the best candidate shows the target',
    f'wrong_prior_{RETRIEVAL}': 'Wrong prior accepted: the image alone, without verification',
    f'wrong_prior_{UNCALIBRATED}': 'Wrong prior accepted: with verification, no camera_info',
    f'wrong_prior_{VERIFIED}': 'Wrong prior accepted: the image alone, with verification',
    f'wrong_prior_{STANDING}': f'Wrong prior accepted: standing, belief on, any of {LOOKS} looks',
    f'wrong_prior_{DRIVING}': 'Wrong prior accepted: driving, belief on, anywhere on a stretch',
}


@dataclass(frozen=True)
class Pictures:
    """JPEGs of an attempt.

    Attributes:
        carrier: the image before the attack.
        attacked: the image after the attack.
        change: their difference.
        target: of the map; None if the map keeps no images.
    """

    carrier: bytes
    attacked: bytes
    change: bytes
    target: bytes | None

    @classmethod
    def of(
        cls,
        carrier: NDArray[np.uint8],
        attacked: NDArray[np.uint8],
        target: NDArray[np.uint8] | None,
    ) -> Pictures:
        """Thumbnails of images uint8 (H, W, 3) RGB."""
        return cls(
            thumbnail(carrier),
            thumbnail(attacked),
            thumbnail(change(carrier, attacked)),
            None if target is None else thumbnail(target),
        )


def attack_page(
    metrics: Mapping[str, Any],
    attempts: Sequence[Attempt],
    pictures: Sequence[Pictures],
    configuration: Mapping[str, Any],
) -> bytes:
    """The page, as HTML.

    Args:
        metrics: of attack_metrics.
        attempts: one for each attacked image.
        pictures: of the same images.
        configuration: settings of the attack, by name.
    """
    known = environment()
    stretches = Counter(attempt.stretch for attempt in attempts)
    page = Page(
        'Targeted mismatch',
        f'{len(attempts)} images, attacked in {len(stretches)} stretches; '
        f'written {known["written"]}',
    )
    page.section('Summary')
    rates = metrics['rates']
    page.tiles({RATES[name]: f'{rate["count"]} of {rate["of"]}' for name, rate in rates.items()})
    page.text(
        'Each image was changed a little so that the network describes it as a place of the map '
        'where it was not taken (Tolias, Radenovic and Chum, ICCV 2019), by one who has the '
        'weights and the map; the local features that verification looks at were not attacked. '
        'What was stored is judged by the localizer that the robot runs. Where verification is '
        'left out (no time left, a map without features) retrieval decides alone.'
    )
    page.section('How often')
    page.table(
        ('what', 'fooled', 'out of', 'share', '95 % interval'),
        (
            (
                RATES[name],
                str(rate['count']),
                str(rate['of']),
                f'{100 * rate["count"] / rate["of"]:.0f} %',
                f'{100 * rate["low"]:.1f} to {100 * rate["high"]:.1f} %',
            )
            for name, rate in rates.items()
        ),
    )
    page.text(
        'Intervals: Clopper and Pearson, as if attempts were independent; images of one place and '
        'one light are less than that. Driving counts stretches: images in succession, all of them '
        'sent to one target.'
    )
    page.heading('Answers to the images, before and after')
    for title, side in (('not attacked', 'carrier'), ('attacked', 'attack')):
        page.table(
            (title, *(name.replace('_', ' ') for name in COUNTED)),
            ((mode, *(str(metrics[side][mode][name]) for name in COUNTED)) for mode in MODES),
        )
    page.text(
        'at target, at truth: places that the best candidate shows. accepted: answers with a '
        'prior, wrong: away from where the image was taken.'
    )
    page.section('Images')
    shown = sorted(range(len(attempts)), key=lambda i: _harm(attempts[i]), reverse=True)
    page.text(f'{min(len(shown), MOST_SHOWN)} of {len(shown)}, those that did most harm first.')
    for number, i in enumerate(shown[:MOST_SHOWN], 1):
        _show(page, number, attempts[i], pictures[i])
    page.section('All figures')
    rest = {name: metrics[name] for name in ('similarity_to_target', 'change_of_255')}
    page.table(('figure', 'value'), side_by_side([rest]))
    page.section('Configuration')
    page.table(('setting', 'value'), flat(configuration).items())
    page.section('Environment')
    page.table(('what', 'value'), known.items())
    return page.html()


def _harm(attempt: Attempt) -> tuple[bool, ...]:
    order = (VERIFIED, STANDING, DRIVING, UNCALIBRATED)
    return (
        *(attempt.after[mode].accepted_wrong for mode in order),
        attempt.after[RETRIEVAL].at_target,
    )


def _show(page: Page, number: int, attempt: Attempt, pictures: Pictures) -> None:
    found = attempt.after[RETRIEVAL]
    words = [
        'retrieved: '
        + ('the target' if found.at_target else 'the truth' if found.at_truth else 'another place')
    ]
    for mode in MODES:
        answered = attempt.after[mode]
        verdict = 'wrong prior' if answered.accepted_wrong else 'right prior'
        words.append(f'{mode}: {verdict if answered.accepted else "no prior"}')
    changed = f'rms {attempt.rms_change:.1f}, largest {attempt.max_change} of 255'
    away = f'{attempt.target_distance_m:.1f} m and {attempt.target_angle_deg:.0f} degrees away'
    page.triplet(
        f'{number}. {attempt.carrier}',
        '; '.join([*words, attempt.after[VERIFIED].reason]),
        (
            (
                f'carrier, similarity {attempt.similarity_before:.2f} to the target',
                attempt.carrier,
                pictures.carrier,
            ),
            (
                f'attacked, similarity {attempt.similarity_after:.2f}',
                attempt.image,
                pictures.attacked,
            ),
            (f'change x {GAIN}', changed, pictures.change),
            (f'target, row {attempt.target}', away, pictures.target),
        ),
    )
