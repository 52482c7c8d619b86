"""Text from elsewhere, made safe for terminals, tables, pages and plots."""

from __future__ import annotations

import unicodedata

_FORMULA = ('=', '+', '-', '@')
_UNFIT = {'Cc', 'Cs'}  # controls, and halves of characters that no file in UTF-8 can hold


def plain(text: str) -> str:
    """Text in which U+FFFD replaces control characters and lone surrogates."""
    return ''.join('�' if unicodedata.category(letter) in _UNFIT else letter for letter in text)


def cell(text: str) -> str:
    """Text for a table; an apostrophe stops a spreadsheet from running it as a formula."""
    clean = plain(text)
    return f"'{clean}" if clean.lstrip().startswith(_FORMULA) else clean


def label(text: str) -> str:
    """Text for matplotlib: no dollar sign begins a formula, no leading underscore hides it."""
    clean = plain(text).replace('$', r'\$')
    return f' {clean}' if clean.startswith('_') else clean


def one_line(text: str) -> str:
    """Text for a terminal, without control characters that would change its state."""
    return ''.join(letter if letter.isprintable() else '?' for letter in text)
