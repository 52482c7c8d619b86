"""Text from elsewhere, made fit for one line of a terminal, a log or a message."""

from __future__ import annotations

import unicodedata

MOST_LETTERS = 2000
UNFIT = {'Cc', 'Cs'}  # controls, and halves of characters that no file in UTF-8 can hold


def one_line(text: str) -> str:
    """Text of at most MOST_LETTERS letters, without control characters.

    A control character would change the state of a terminal or begin a forged line of a log.
    """
    cut = text if len(text) <= MOST_LETTERS else f'{text[:MOST_LETTERS]}...'
    if cut.isprintable():
        return cut
    return ''.join(letter if letter.isprintable() else '?' for letter in cut)


def check_text(text: str) -> None:
    """Raise ValueError if a name that is published or logged is long or has control characters."""
    if len(text) > MOST_LETTERS:
        raise ValueError(f'a text has more than {MOST_LETTERS} letters')
    if not text.isprintable() and any(unicodedata.category(letter) in UNFIT for letter in text):
        raise ValueError(f'the text {text[:40]!r} has control characters')


def error_words(error: BaseException) -> str:
    """Kind and message of a foreign exception, in at most 200 letters of one line."""
    text = ' '.join(str(error).split())[:200]
    kind = type(error).__name__
    return one_line(f'{kind}: {text}' if text else kind)
