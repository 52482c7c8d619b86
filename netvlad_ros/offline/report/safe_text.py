"""Text from elsewhere, made safe for terminals, tables, pages and plots."""

from __future__ import annotations

import unicodedata

from netvlad_ros.core.words import UNFIT

_FORMULA = ('=', '+', '-', '@')


def plain(text: str) -> str:
    """Text in which U+FFFD replaces control characters and lone surrogates."""
    return ''.join('�' if unicodedata.category(letter) in UNFIT else letter for letter in text)


def cell(text: str) -> str:
    """Text for a table; an apostrophe stops a spreadsheet from running it as a formula."""
    clean = plain(text)
    return f"'{clean}" if clean.lstrip().startswith(_FORMULA) else clean


def label(text: str) -> str:
    """Text for matplotlib: no dollar sign begins a formula, no leading underscore hides it."""
    clean = plain(text).replace('$', r'\$')
    return f' {clean}' if clean.startswith('_') else clean
