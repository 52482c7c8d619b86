"""Foreign text, made safe for terminals, tables, pages and plots."""

from __future__ import annotations

import unicodedata

_FORMULA = ('=', '+', '-', '@')
_UNFIT = {'Cc', 'Cs'}  # controls, and halves of characters that no file in UTF-8 can hold


def plain(text: str) -> str:
    """Text without controls and lone surrogates, which stand as U+FFFD."""
    return ''.join('�' if unicodedata.category(letter) in _UNFIT else letter for letter in text)


def cell(text: str) -> str:
    """Text for a table: what a spreadsheet would run as a formula begins with an apostrophe."""
    clean = plain(text)
    return f"'{clean}" if clean.lstrip().startswith(_FORMULA) else clean


def label(text: str) -> str:
    """Text for matplotlib: a dollar sign begins no formula, a leading underscore hides nothing."""
    clean = plain(text).replace('$', r'\$')
    return f' {clean}' if clean.startswith('_') else clean


def one_line(text: str) -> str:
    """Text that a terminal may see: names out of files from elsewhere may steer it otherwise."""
    return ''.join(letter if letter.isprintable() else '?' for letter in text)
