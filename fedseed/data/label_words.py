"""What the cell of one label means: a number, a word, several labels in one string, or none."""

import ast
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from numbers import Number

Key = tuple[int, Decimal, str]
"""What a label is sorted and told apart by: numbers before words."""
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d{1,40},\d{1,2}", re.ASCII)
"""A number with a decimal comma; three digits after it may be thousands."""
_LIST = re.compile(r"""\[\s*(('.*'|".*"|-?\d[-\d.,\s]*)\s*)?\]""", re.DOTALL)
"""A list that was written as text."""
_TRUTH = {"true": Decimal(1), "false": Decimal(0)}
_NONE = frozenset({
    "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "nil", ".", "..", "?", "-", "--",
})  # fmt: skip
"""Words that stand for a missing number."""
_INVISIBLE = dict.fromkeys(
    (0xAD, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A),
     0xFEFF)
)  # fmt: skip
_ENDS = "".join(map(chr, _INVISIBLE))


def word_of(value: object) -> str:
    """A label as it is written, without what cannot be seen at its ends."""
    if isinstance(value, bool):
        return str(value).lower()
    word = str(value).strip()
    return word if word.isascii() else word.strip(f"{_ENDS} \t\n\r\f\v\xa0")


def folded(word: str) -> str:
    """Equal for words that differ only in how they are written."""
    plain = unicodedata.normalize("NFKC", word.translate(_INVISIBLE))
    return " ".join(plain.casefold().split())


def number_of(value: object, word: str) -> Decimal | None:
    """The number that a label is, if it is one."""
    if word.lower() in _TRUTH:
        return _TRUTH[word.lower()]
    if isinstance(value, str | Number):
        try:
            return Decimal(word) if _NUMBER.fullmatch(word) else None
        except InvalidOperation:
            return None
    return None


def key_of_word(word: str) -> Key:
    """What a label that is written as text is told apart by."""
    number = number_of(word, word)
    return (1, Decimal(0), word) if number is None else (0, number, "")


def name_of(number: Decimal, word: str) -> str:
    """A number's name: 1 for 1.0, 0.5 for 0.50, and truth as it is written."""
    if word.lower() in _TRUTH:
        return word.lower()
    return str(int(number)) if number == int(number) else format(number.normalize(), "f")


def listed(word: str) -> list[object] | None:
    """The labels of a list that was written as text; None if it is none."""
    if not _LIST.fullmatch(word):
        return None
    try:
        value = ast.literal_eval(word)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return value if isinstance(value, list) else []


def missing_among_numbers(keys: Sequence[Key]) -> int | None:
    """The place of a word that means none, where all other labels are numbers."""
    words = [place for place, key in enumerate(keys) if key[0]]
    if 0 < len(words) < len(keys) and all(keys[n][2].casefold() in _NONE for n in words):
        return words[0]
    return None


def several_in_one(keys: Sequence[Key]) -> int | None:
    """The place of a word of several parts, each of which is a label of its own."""
    known = set(keys)
    for place, (kind, _, word) in enumerate(keys):
        for separator in "|;," if kind else "":
            parts = {key_of_word(word_of(part)) for part in word.split(separator)}
            if len(parts) > 1 and parts <= known:
                return place
    return None


def decimal_commas(keys: Sequence[Key]) -> Mapping[Key, Key]:
    """Keys of numbers with a decimal comma to keys of numbers; empty where not all are numbers."""
    commas = {key: key[2] for key in keys if key[0]}
    if not commas or not all(_COMMA.fullmatch(word) for word in commas.values()):
        return {}
    if any(number != int(number) for kind, number, _ in keys if not kind):
        return {}
    return {key: (0, Decimal(word.replace(",", ".")), "") for key, word in commas.items()}


def are_whole(numbers: Collection[Key]) -> bool:
    """Whether numbers are whole and zero is among them, so that 1,0 is one label and not two."""
    values = [number for _, number, _ in numbers]
    return Decimal(0) in values and all(number == int(number) for number in values)


def are_halves(numbers: Collection[Key], keys: Collection[Key]) -> bool:
    """Whether numbers are halves between labels that are there as well, as on a scale of stars."""
    whole = {number for kind, number, _ in keys if not kind}
    halves = [number for _, number, _ in numbers]
    between = (number % 1 == Decimal("0.5") and {number // 1, number // 1 + 1} <= whole
               for number in halves)  # fmt: skip
    return len(halves) > 2 and all(between)
