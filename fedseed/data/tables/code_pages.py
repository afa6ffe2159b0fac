"""Which code page a text of Latin letters is in: the one whose letters one language explains."""

import re
import unicodedata
from collections import Counter

_WESTERN = (
    "àâæçèéêëîïôœùûüÿ",  # French
    "äöüß",  # German
    "áéíñóúüºª",  # Spanish
    "àáâãçéêíóôõúüºª",  # Portuguese
    "àáèéìíîòóùú",  # Italian
    "àáäåéö",  # Swedish, Finnish
    "åæøéèêóòô",  # Danish, Norwegian
    "áèéëïíóöúü",  # Dutch
    "áæðéíóöúýþ",  # Icelandic
    "àçèéíïòóúü",  # Catalan
)
_CENTRAL = (
    "ąćęłńóśźż",  # Polish
    "áäčďéěíĺľňóôŕřšťúůýž",  # Czech, Slovak
    "áéíóöőúüű",  # Hungarian
    "ćčđšž",  # Croatian, Slovene
    "ăâîşţ",  # Romanian
)
_LANGUAGES = {
    "cp1252": _WESTERN,
    "cp1250": _CENTRAL,
    "iso8859_2": _CENTRAL,
    "cp1254": ("âçğîıöşûü",),  # Turkish
    "cp1257": ("ąčėęįšųūž", "āčēģīķļņšūž"),  # Lithuanian, Latvian
    "cp850": _WESTERN,
    "mac_roman": _WESTERN,
}
"""Letters beyond ASCII of the languages that are written in a code page; the commonest first."""
_SIGNS = frozenset(
    "\u2018\u2019\u201a\u201c\u201d\u201e\u2013\u2014\u2026\u2022\u20ac"  # quotes, dashes, euro
    "\xab\xbb\xa3\xb0\xa9\xae\u2122\xa7\xa1\xbf\xb4\xb7\xbd\xa4\xa0\xad"
)
_INSIDE = re.compile(r"(?<=[a-z])[^\x00-\x7f]")
"""Letters within words, where capitals are odd."""
_EXPLAINED = 0.9


def latin_page(content: bytes, guess: str) -> str | None:
    """The code page of a text of Latin letters.

    A few accents do not tell code pages apart by their frequency, but by whether one language
    has them all. Where none has, as in a table of several languages, it is cp1252.

    Args:
        content: a piece of the text.
        guess: the text as somebody decoded it.

    Returns:
        The code page; None where the letters of the guess are not Latin, or nothing fits.
    """
    beyond = [letter for letter in guess if letter > "\x7f" and letter.isalpha()]
    latin = sum("LATIN" in unicodedata.name(letter, "") for letter in beyond)
    if 2 * latin < len(beyond):
        return None
    shares = {page: _explained(content, page) for page in _LANGUAGES}
    best = max(shares, key=lambda page: shares[page])  # the first of equals
    if shares[best] >= _EXPLAINED:
        return best
    return "cp1252" if shares["cp1252"] >= 0 else None


def _explained(content: bytes, page: str) -> float:
    """Share of the bytes beyond ASCII that one language explains; -1 if some are no letter."""
    try:
        text = content.decode(page)
    except UnicodeDecodeError:
        return -1
    beyond = Counter(letter for letter in text if letter > "\x7f")
    odd = Counter(letter for letter in _INSIDE.findall(text) if letter.isupper())
    explained = max(
        sum(n for letter, n in beyond.items() if letter in _SIGNS or letter.lower()[0] in alphabet)
        for alphabet in _LANGUAGES[page]
    )
    return (explained - odd.total()) / max(1, beyond.total())
