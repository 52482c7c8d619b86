"""How much memory a stretch of work took at most."""

from __future__ import annotations

import re
from pathlib import Path

_FORGET = Path('/proc/self/clear_refs')
_STATUS = Path('/proc/self/status')
_RESET_PEAK = '5'  # proc(5): sets the peak to what is resident now


def forget_peak() -> None:
    """Let the peak begin anew, where the system allows it."""
    try:
        _FORGET.write_text(_RESET_PEAK)
    except OSError:
        return  # then the peak is that of the process so far: more than the truth, never less


def peak_bytes() -> int | None:
    """Largest resident size of this process since forget_peak; None where it is not told."""
    try:
        found = re.search(r'VmHWM:\s*(\d+) kB', _STATUS.read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
