"""Text typed by a person: known words stay, everything else goes.

Descriptions are where names hide ("CT abdomen Mrs Peeters 12.03.57"), and where a physicist reads what an image is. A list of
names can never be complete; a list of the words of our trade can.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
SHORT_NUMBER = re.compile(r"\d{1,3}(?:[.,]\d{1,3})?")
CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
UNITS = "mm|cm|ml|kg|h|hr|hrs|d|w|min|mins|s|sec|kev|kv|kvp|mas|mbq|gbq|bq|t|i|it|bed|beds|d|st|nd|rd|th"
NUCLIDES = "f|c|n|o|ga|cu|zr|in|tc|lu|y|i|tl|tb|sc|ac|pb|bi|ra|sm|ho|re"
TOKEN = re.compile(rf"\d+[.,]\d+(?![.,]?\d)|(?<![^\W_])(?:{NUCLIDES})-\d{{1,3}}m?(?![^\W_])|[^\W_]+", re.IGNORECASE)
FORMS = re.compile(
    rf"b\d{{1,4}}|\d{{1,4}}b"  # b-values
    rf"|\d{{1,3}}(?:{UNITS})"
    rf"|\d{{1,3}}m?(?:{NUCLIDES})|(?:{NUCLIDES})-?\d{{1,3}}m?"
    r"|\d{1,2}i\d{1,2}s",  # iterations and subsets
    re.IGNORECASE,
)
NUMBERED = re.compile(r"([^\W\d_]+)(\d{1,2})")
NUCLIDE_TWICE = "^[^"
"""Between the two mass numbers of `F^18^[^18^Fluorine]`, as some cameras write the code meaning of 18F."""


def clean(
    text: str, words: frozenset[str], instead: Callable[[str], str] = lambda _: ""
) -> tuple[str, tuple[str, ...]]:
    """Keep the words of a text that are on the list or have a known form.

    Parameters
    ----------
    words
        Lower case.
    instead
        Makes the stand-in for a word that goes.

    Returns
    -------
    tuple
        The text, and the words that went.
    """
    tokens = list(TOKEN.finditer(text))
    shown = [token[0] if _may_stay(token[0], words) else instead(token[0]) for token in tokens]
    for n in _number_chains(text, tokens, shown):
        shown[n] = instead(tokens[n][0])
    gone = tuple(token[0] for token, left in zip(tokens, shown, strict=True) if left != token[0])
    ends = [0, *(token.end() for token in tokens)]
    between = [text[end : token.start()] for end, token in zip(ends, tokens, strict=False)]
    cleaned = "".join(_ascii(gap) + (left or " ") for gap, left in zip(between, shown, strict=True)) + _ascii(
        text[ends[-1] :]
    )
    return (_tidy(cleaned) if gone else cleaned), gone


def _may_stay(token: str, words: frozenset[str]) -> bool:
    if not token.isascii():
        return False
    if token.lower() in words or SHORT_NUMBER.fullmatch(token) or FORMS.fullmatch(token):
        return True
    numbered = NUMBERED.fullmatch(token)
    if numbered:
        return _may_stay(numbered[1], words)
    parts = CAMEL.findall(token)
    return (
        len(parts) > 1
        and "".join(parts) == token
        and all(p.lower() in words or (len(p) < 3 and p.isdigit()) for p in parts)
    )


def _number_chains(text: str, tokens: list[re.Match[str]], shown: list[str]) -> set[int]:
    """Numbers with nothing but numbers between them: a date, a telephone or a patient number taken apart."""
    chained: set[int] = set()
    left = [n for n, word in enumerate(shown) if word or NUMBER.fullmatch(tokens[n][0])]
    for one, two in pairwise(left):
        both = NUMBER.fullmatch(tokens[one][0]) and NUMBER.fullmatch(tokens[two][0])
        if both and text[tokens[one].end() : tokens[two].start()] != NUCLIDE_TWICE:
            chained |= {one, two}
    return chained


def _ascii(between: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else " " for c in between)


def _tidy(text: str) -> str:
    """Close the gaps."""
    while (closed := re.sub(r"\(\s*\)|\[\s*\]", " ", text)) != text:
        text = closed
    return re.sub(r"\s+", " ", text).strip(" ,;:_-/.+&^*#=")
