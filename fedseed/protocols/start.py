"""What a run's rounds begin from: the seed as it is, or one that the first rounds make of words.

Light to import: it decides by options alone, as they were given.
"""

from collections.abc import Mapping
from typing import Any

from fedseed.models.architecture import FROM_PRNG

DEFAULT_PROTOCOL = "recipe"
LEXICON = "lexicon"
"""The protocol by whose round a run may begin."""
LEXICON_LENGTH = 256
"""Tokens kept of each text, unless they are given, in a run that begins so."""


def with_start(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What ``--protocol lexicon --then NAME`` is short for: NAME, from a lexicon."""
    then = values.get("then")
    if then is None or values.get("protocol") != LEXICON:
        return values
    if then == LEXICON:
        raise ValueError("--then lexicon: rounds of one protocol are --rounds; name another")
    rest = {name: value for name, value in values.items() if name != "then"}
    return rest | {"protocol": then, "start": LEXICON}


def begins_with_lexicon(values: Mapping[str, Any]) -> bool:
    """Whether the first round makes a seed of words, by options as they were given."""
    start = values.get("start", "auto")
    if start != "auto":
        return bool(start == LEXICON)
    return (
        values.get("protocol", DEFAULT_PROTOCOL) == DEFAULT_PROTOCOL
        and values.get("model", "bert-tiny") in FROM_PRNG
        and values.get("seed_file") is None
        and values.get("privacy") is None
        and values.get("rounds") != 1
    )


def refuse_impossible_start(values: Mapping[str, Any]) -> None:
    """Raise a ValueError where a lexicon round cannot come first.

    Args:
        values: all options of a run that begins with one, by name.
    """
    first = int(values["start_options"]["start_rounds"])
    reasons = {
        f"--protocol {LEXICON}, which makes its own": values["protocol"] == LEXICON,
        "--seed-file: the round makes a seed": values["seed_file"] is not None,
        "--privacy, which it does not have": values["privacy"] is not None,
        f"--rounds {values['rounds']}: it takes {first} of them": values["rounds"] <= first,
    }
    for reason, applies in reasons.items():
        if applies:
            raise ValueError(f"--start lexicon does not go with {reason}")
