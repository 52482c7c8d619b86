"""The metrics of a demonstration as a table on the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from netvlad_ros.demo.demo_metrics import ANGLE_DEG, RADIUS_M, RECALL_NEEDED, UNMAPPED_M, WRONG_M


def table(metrics: dict[str, Any], *, has_truth: bool, demanding: bool) -> Table:
    """The metrics as a table.

    Args:
        metrics: Metrics by name.
        has_truth: Whether the second drive has true poses.
        demanding: Whether good and bad values are coloured: of the rendered drive, something is
            required.
    """
    out = Table(title='Drive two, localized on the map of drive one', title_justify='left')
    out.add_column('figure')
    out.add_column('value', justify='right')
    out.add_column('meaning')

    def row(name: str, value: str, meaning: str, good: bool | None = None) -> None:
        colour = {None: '', True: '[green]', False: '[red]'}[good if demanding else None]
        out.add_row(name, colour + value, meaning)

    published, received = metrics['images_published'], metrics['matches_received']
    complete = received == published
    rate = metrics['images_per_s']
    what = 'each with its stamp' + (f'; {rate:.1f} a second' if rate else '')
    row('images answered', f'{received} of {published}', what, complete)
    if has_truth:
        recall = metrics['recall_at_1']
        what = (
            f'best place within {RADIUS_M:g} m, {ANGLE_DEG:g}°; {metrics["answerable"]} answerable'
        )
        shown = '-' if recall is None else f'{recall:.3f}'
        good = recall is not None and recall >= RECALL_NEEDED
        row('recall@1', shown, what, good)
    row('accepted', str(metrics['accepted']), 'a pose prior was published')
    row('  by landmarks', str(metrics['accepted_by_landmarks']), 'its pose computed from geometry')
    if has_truth:
        wrong = metrics['accepted_wrong']
        row('  but wrong', str(wrong), f'prior more than {WRONG_M:g} m off', wrong == 0)
        count = metrics['accepted_where_never_mapped']
        what = f'of {metrics["never_mapped"]} images > {UNMAPPED_M:g} m from the map'
        row('  where never mapped', str(count), what, count == 0)
    refused = f'{metrics["no_match"]} / {metrics["ambiguous"]}'
    row('no match / ambiguous', refused, 'no prior, the reason told')
    if has_truth and metrics['pose_error_m']['median'] is not None:
        for unit, key in (('m', 'pose_error_m'), ('°', 'pose_error_deg')):
            error = metrics[key]
            value = f'{error["median"]:.3f} / {error["p90"]:.3f} {unit}'
            row(f'{metrics["pose_of"]} pose error', value, 'median / 90th percentile')
    if metrics['latency_ms']['p50'] is not None:
        latency = metrics['latency_ms']
        value = f'{latency["p50"]:.0f} / {latency["p99"]:.0f} ms'
        row('latency p50 / p99', value, 'image stamp to answer, over DDS')
    share, where = metrics['inference_share'], metrics['accelerator']
    if share:
        row('inference', f'{float(share):.0%}', f'of the work, {where}')
    size = f'{metrics["places"]} x {metrics["dim"]}'
    row('map', size, f'places x dims, every {metrics["spacing_m"]:.2f} m')
    return out
